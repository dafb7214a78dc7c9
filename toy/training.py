"""What the three toy trainings share: a resumable loop with warm-up, cosine decay, clipping and a progress bar."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn
from tqdm import tqdm

_SECONDS_BETWEEN_SAVES = 60.0


@dataclass(frozen=True)
class Schedule:
    """AdamW with ``warmup`` linear steps, then cosine decay from ``learning_rate`` to 1% of it at ``steps``."""

    steps: int
    learning_rate: float
    warmup: int = 100
    weight_decay: float = 1e-4

    def factor(self, step: int) -> float:
        progress = min(step / self.steps, 1.0)
        cosine = 0.5 * (1 + float(torch.cos(torch.tensor(progress * torch.pi))))
        return min((step + 1) / self.warmup, 1.0) * max(cosine, 0.01)


def train(model: nn.Module, loss_at: Callable[[int], torch.Tensor], schedule: Schedule, resume_file: Path) -> float:
    """Minimise ``loss_at(step)``, which must draw its data from ``step`` alone. Returns the seconds it took in all.

    The model, its optimiser and the step are kept in ``resume_file``; a second call goes on from there.
    """
    optimiser = torch.optim.AdamW(
        [p for p in model.parameters() if p.requires_grad], schedule.learning_rate, weight_decay=schedule.weight_decay
    )
    step, spent = _resume(model, optimiser, resume_file)
    started = saved = time.monotonic()
    model.train()
    with tqdm(total=schedule.steps, initial=step, unit="step", mininterval=10) as bar:
        while step < schedule.steps:
            loss = _optimise(model, optimiser, loss_at(step), schedule.learning_rate * schedule.factor(step))
            step += 1
            bar.set_postfix(loss=f"{loss:.3f}", refresh=False)
            bar.update()
            now = time.monotonic()
            if now - saved > _SECONDS_BETWEEN_SAVES or step == schedule.steps:
                saved = now
                _save(model, optimiser, step, spent + now - started, resume_file)
    model.eval()
    return spent + time.monotonic() - started


def _optimise(model: nn.Module, optimiser: torch.optim.Optimizer, loss: torch.Tensor, rate: float) -> float:
    for group in optimiser.param_groups:
        group["lr"] = rate
    optimiser.zero_grad(set_to_none=True)
    torch.autograd.backward(loss)
    nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimiser.step()
    return float(loss)


def _resume(model: nn.Module, optimiser: torch.optim.Optimizer, file: Path) -> tuple[int, float]:
    if not file.exists():
        return 0, 0.0
    saved = torch.load(file, weights_only=True)
    model.load_state_dict(saved["model"])
    optimiser.load_state_dict(saved["optimiser"])
    return int(saved["step"]), float(saved["seconds"])


def _save(model: nn.Module, optimiser: torch.optim.Optimizer, step: int, seconds: float, file: Path) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    partial = file.with_suffix(".partial")
    state = {"model": model.state_dict(), "optimiser": optimiser.state_dict()}
    torch.save({**state, "step": step, "seconds": seconds}, partial)
    partial.replace(file)
