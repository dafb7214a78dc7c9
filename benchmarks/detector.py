"""A picture and 1 to 365 labels: the function's model against the two usual ways to use Grounding DINO.

Grounding DINO Swin-T with random weights at its real size on a 1080p picture, shown as 750 x 1333. "upstream" is what
``groundingdino.util.inference`` does: for each caption, of which there are as many as ours, picture and text are
encoded anew. "one by one" asks for one label at a time in that way, as autodistill does; it is timed against all labels
at once here, and its answers are compared with ours to the same questions. Each way runs in a process of its own, on
the GPU if there is one: upstream in float32, ours in its default precision.

MM-Grounding-DINO Swin-T, which LLMDet is too, is timed against transformers' own model of it, and against our Grounding
DINO on the same labels.

Each of upstream's boxes is compared with ours that is most like it: the largest errors of all boxes, in pixels of the
picture, and of all scores, and the share of boxes that are ``same``, up to a pixel and .01. The model orders its 900
queries by their scores, and each place in that order has an embedding of its own. Where two scores differ by less than
float32 resolves, their places are a matter of chance, for upstream with another number of threads too, and the two
queries' boxes then differ.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch
from groundingdino.models.GroundingDINO.groundingdino import GroundingDINO as Upstream
from numpy.typing import NDArray
from scipy.linalg import block_diag
from torchvision.ops import box_convert

from benchmarks import machine, mm_grounding_dino
from benchmarks.measure import Row, in_fresh_process, report, timed
from promptable.models.detection.detector import PromptScores
from promptable.models.grounding_dino.build import SWIN_T, build
from promptable.models.grounding_dino.captions import Caption, pack
from promptable.models.grounding_dino.detector import GroundingDINO, preprocess, span_scores, use_fast_layers
from promptable.models.grounding_dino.text_encoder import load_tokenizer, new_bert
from promptable.models.runtime import device
from promptable.models.runtime.cpu import keep_freed_memory
from promptable.models.runtime.precision import autocast
from toy.scenes import scene

_HW = (1080, 1920)
_COUNTS = (1, 20, 80, 365)
_ONE_BY_ONE = 20
_SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", ".", "?")
_SAME_PIXELS, _SAME_SCORE = 1.0, 0.01

Detect = Callable[[NDArray[np.uint8], Sequence[str]], PromptScores]


@dataclass(frozen=True)
class Answer:
    """Seconds for one picture, and what came of it."""

    seconds: float
    found: PromptScores


def run(quick: bool) -> None:
    """Measure 1, 20, 80 and 365 labels; ``quick``: 1 and 20, and only two labels one by one."""
    counts = _COUNTS[:2] if quick else _COUNTS
    plain = in_fresh_process(answers, "plain", counts, 1)
    where = device.resolve("auto")
    rows = [
        _row(f"{count} labels, {where} {precision}, upstream", *pair)
        for precision in machine.precisions()
        for count, *pair in zip(counts, plain, in_fresh_process(answers, f"ours {precision}", counts, 3), strict=True)
    ]
    asked = 2 if quick else _ONE_BY_ONE
    (alone,) = in_fresh_process(answers, "plain, one by one", (asked,), 1)
    (same,) = in_fresh_process(answers, "ours, one by one", (asked,), 1)
    (together,) = in_fresh_process(answers, "ours", (asked,), 3)
    rows.append(_row(f"{asked} labels, {where}, one by one", alone, Answer(together.seconds, same.found)))
    report("detector", [*rows, *_of_mm_grounding_dino(where, together)])


def _of_mm_grounding_dino(where: str, grounding_dino: Answer) -> list[Row]:
    """Against transformers, and against our Grounding DINO with as many labels."""
    labels = grounding_dino.found.scores.shape[1]
    (plain,) = in_fresh_process(answers, "mm plain", (labels,), 1)
    (ours,) = in_fresh_process(answers, "mm ours", (labels,), 3)
    beside = Row(
        f"{labels} labels, {where}, MM-Grounding-DINO, our Grounding DINO",
        grounding_dino.seconds,
        ours.seconds,
        {"frames/s": 1 / ours.seconds},
    )
    return [_row(f"{labels} labels, {where}, MM-Grounding-DINO, transformers", plain, ours), beside]


def _row(what: str, plain: Answer, ours: Answer) -> Row:
    pace = {"frames/s": 1 / ours.seconds}
    return Row(what, plain.seconds, ours.seconds, pace | _agreement(plain.found, ours.found))


def _agreement(plain: PromptScores, ours: PromptScores) -> dict[str, float]:
    """Largest errors and share of equal boxes, caption by caption."""
    pairs = [_paired_errors(plain, ours, np.flatnonzero(ours.captions == n)) for n in range(ours.captions.max() + 1)]
    box, score = np.concatenate(pairs, axis=1)
    same = (box <= _SAME_PIXELS) & (score <= _SAME_SCORE)
    return {"box error": float(box.max()), "score error": float(score.max()), "same": float(same.mean())}


def _paired_errors(plain: PromptScores, ours: PromptScores, rows: NDArray[np.int64]) -> NDArray[np.float32]:
    """Errors in pixels and in scores, [2, Q], of each of upstream's boxes against the most similar one of ours."""
    box = np.abs(plain.boxes_xyxy[rows, None] - ours.boxes_xyxy[None, rows]).max(2)
    asked = ours.scores[rows].any(0)
    score = np.abs(plain.scores[rows][:, None, asked] - ours.scores[rows][None, :, asked]).max(2)
    nearest = (box / _SAME_PIXELS + score / _SAME_SCORE).argmin(1)
    places = np.arange(len(rows))
    return np.stack([box[places, nearest], score[places, nearest]])


def answers(way: str, counts: Sequence[int], repeats: int) -> list[Answer]:
    """What one way answers for these numbers of labels."""
    torch.manual_seed(0)
    whose, _, one_by_one = way.partition(", ")
    with TemporaryDirectory() as folder:
        detect = _WAYS[whose](Path(folder))
    detect = _one_by_one(detect) if one_by_one else detect
    image = scene(1, size=_HW[1]).image[: _HW[0]]
    detect(image, label_names(1))  # warm up
    return [Answer(*timed(partial(detect, image, label_names(count)), repeats)) for count in counts]


def label_names(count: int) -> list[str]:
    """Labels of one or two words, as COCO's and Objects365's are."""
    return [f"first{n} second{n}" if n % 3 == 0 else f"first{n}" for n in range(count)]


def random_swin_t(folder: Path) -> Upstream:
    """Upstream's model with a vocabulary of its own, which is written into the folder."""
    _write_vocabulary(folder)
    model = build(SWIN_T, new_bert(folder / "bert.json"), load_tokenizer(folder / "vocab.txt"))
    with torch.no_grad():
        for weights in model.transformer.parameters():  # many of which are zero or one at first, and would hide errors
            weights.add_(torch.randn_like(weights) * 0.02)
    return model


def _write_vocabulary(folder: Path) -> Path:
    words = [f"{place}{n}" for place in ("first", "second") for n in range(max(_COUNTS))]
    (folder / "vocab.txt").write_text("\n".join((*_SPECIAL, *words)))
    return folder


def _ours(folder: Path, precision: str = "") -> Detect:
    """``precision`` is that of ``auto`` unless another is named."""
    keep_freed_memory()
    model, precision = random_swin_t(folder).to(device.resolve("auto")), precision or machine.precision()
    return GroundingDINO(use_fast_layers(model, precision), SWIN_T, precision).detect


def plain(folder: Path, precision: str = "fp32") -> Detect:
    """Upstream's ``predict`` for each caption, scored as ours."""
    model = random_swin_t(folder).to(device.resolve("auto"))

    def detect(image: NDArray[np.uint8], labels: Sequence[str]) -> PromptScores:
        with autocast(device.resolve("auto"), precision):
            found = [_predict(model, image, caption, labels) for caption in pack(labels, model.tokenizer)]
        boxes, scores = (np.concatenate(parts) for parts in zip(*found, strict=True))
        return PromptScores(boxes, scores, np.zeros(len(boxes), np.int64))

    return detect


_WAYS: Mapping[str, Callable[[Path], Detect]] = {
    "ours": _ours,
    **{f"ours {precision}": partial(_ours, precision=precision) for precision in ("fp32", "bf16")},
    "plain": plain,
    "plain bf16": partial(plain, precision="bf16"),
    "mm ours": lambda folder: mm_grounding_dino.ours(_write_vocabulary(folder)),
    "mm plain": lambda folder: mm_grounding_dino.plain(_write_vocabulary(folder)),
}


def _one_by_one(detect: Detect) -> Detect:
    """Each label in a caption of its own."""

    def detect_each(image: NDArray[np.uint8], labels: Sequence[str]) -> PromptScores:
        found = [detect(image, [label]) for label in labels]
        boxes, scores = np.concatenate([one.boxes_xyxy for one in found]), block_diag(*(one.scores for one in found))
        return PromptScores(boxes, scores, np.repeat(np.arange(len(found)), [len(one.scores) for one in found]))

    return detect_each


@torch.no_grad()
def _predict(
    model: Upstream, image: NDArray[np.uint8], caption: Caption, labels: Sequence[str]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Boxes xyxy [Q, 4] and scores [Q, P] as ``groundingdino.util.inference`` computes them."""
    text = " . ".join(labels[index] for index in caption.prompt_indices) + " ."
    pixels = preprocess(image, SWIN_T.short_side, SWIN_T.long_side).to(model.feat_map.weight.device)
    output = {name: tensor.cpu() for name, tensor in model(pixels[None], captions=[text]).items()}
    height, width = image.shape[:2]
    boxes = box_convert(output["pred_boxes"][0], "cxcywh", "xyxy") * torch.tensor([width, height, width, height])
    scores = torch.zeros(len(boxes), len(labels))
    scores[:, list(caption.prompt_indices)] = span_scores(output["pred_logits"][0], caption.spans)
    return boxes.numpy(), scores.numpy()
