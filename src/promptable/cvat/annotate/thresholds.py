"""The thresholds at which a run uploaded, from what the journal has of it."""

from collections.abc import Mapping

from promptable.cvat.annotate.detector import DEFAULT_THRESHOLD
from promptable.cvat.functions import THROUGH_CVAT
from promptable.cvat.journal import Run


def is_through_cvat(run: Run) -> bool:
    """Whether a function was asked through CVAT, which gives what is above the function's own threshold alone."""
    return str(run.model.get("function", "")).endswith(THROUGH_CVAT)


def thresholds_of(run: Run, *, unsaid: float = 0.0) -> Mapping[str, float]:
    """By label; ``unsaid`` where the function was asked through CVAT, which had chosen already and does not say how."""
    names = [str(entry["name"]) for entry in run.model.get("labels", ())]
    if (least := run.options.get("min_confidence")) is not None:
        return dict.fromkeys(names, float(least))
    if is_through_cvat(run):
        return dict.fromkeys(names, unsaid)
    own = {str(entry["name"]): entry.get("threshold") for entry in run.model.get("labels", ())}
    return {name: DEFAULT_THRESHOLD if threshold is None else float(threshold) for name, threshold in own.items()}
