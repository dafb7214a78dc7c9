"""How many kernels a GPU starts for a picture, stage by stage: ours and upstream's. `pytest -s` prints the table."""

from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import torch
from groundingdino.models.GroundingDINO.groundingdino import GroundingDINO as Upstream
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from promptable.models.grounding_dino.detector import GroundingDINO, use_fast_layers
from promptable.models.runtime.precision import autocast
from tests.models.grounding_dino.tiny import CONFIG, tiny_model, word_tokenizer
from tests.simulated_cuda import simulated_cuda

DEPTHS = replace(
    CONFIG,
    swin_depths=(2, 2, 6, 2),
    swin_num_heads=(1, 2, 4, 8),
    return_interm_indices=(1, 2, 3),
    enc_layers=6,
    dec_layers=6,
)
"""Swin-T's: how many kernels there are hangs neither on the layers' width nor on the picture's size."""
REST = "the rest"
NO_KERNEL = {"empty", "empty_like", "empty_strided", "new_empty", "new_empty_strided", "_unsafe_view", "lift_fresh"}

Stages = dict[str, Iterable[nn.Module]]


class Kernels(TorchDispatchMode):
    """Counts operations on the device that compute or copy something, by the stage that asks for them.

    An operation may start more than one kernel: a sum over many numbers, say, or what fills in front of a copy.
    """

    def __init__(self, stages: Stages) -> None:
        super().__init__()
        self.started: Counter[str] = Counter()
        self._running, self._paused = [REST], False
        for name, modules in stages.items():
            for module in modules:
                module.register_forward_pre_hook(lambda *_, name=name: self._running.append(name))
                module.register_forward_hook(lambda *_: self._running.pop() and None)

    def __torch_dispatch__(self, operation: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = operation(*args, **(kwargs or {}))
        name, aliases = (
            operation._schema.name.removeprefix("aten::"),
            [one.alias_info for one in operation._schema.returns],
        )
        is_view = any(alias is not None and not alias.is_write for alias in aliases)
        if _is_there(result) and not is_view and name not in NO_KERNEL:
            self._count()
        return result

    @contextmanager
    def counting(self) -> Iterator[None]:
        """Inside, kernels count; fused attention, which only a real GPU has as one kernel, as one."""
        attend = functional.scaled_dot_product_attention

        def fused(*args: Any, **kwargs: Any) -> Any:
            self._count()
            self._paused = True
            try:
                return attend(*args, **kwargs)
            finally:
                self._paused = False

        with self, mock.patch.object(functional, "scaled_dot_product_attention", fused):
            yield

    def _count(self) -> None:
        if not self._paused:
            self.started[self._running[-1]] += 1


def _is_there(result: Any) -> bool:
    return any(isinstance(each, Tensor) and each.is_cuda for each in tree_leaves(result))


def _of_upstream(network: Upstream, image: Tensor, caption: str) -> Counter[str]:
    encoder = network.transformer.encoder
    kernels = Kernels(
        {
            "Swin": [network.backbone[0]],
            "BERT": [network.bert],
            "text and picture": encoder.fusion_layers,
            "text": encoder.text_layers,
            "picture": encoder.layers,
            "decoder": [network.transformer.decoder],
        }
    )
    with torch.no_grad(), autocast("cuda", "bf16"), kernels.counting():
        network(image[None], captions=[caption])
    return kernels.started


def _of_ours(network: Any, image: NDArray[np.uint8], prompts: list[str]) -> Counter[str]:
    """Of a second picture, as most are: what a size and a caption need is there."""
    transformer = network.transformer
    kernels = Kernels(
        {
            "Swin": [network.backbone[0]],
            "BERT": [network.bert],
            "text and picture": transformer._fusions,
            "text": transformer._text_layers,
            "picture": transformer._encoder,
            "decoder": transformer._decoder.layer._layers,
        }
    )
    detector = GroundingDINO(network, DEPTHS, "bf16")
    detector.detect(image, prompts)
    with kernels.counting():
        detector.detect(image, prompts)
    return kernels.started


def test_no_stage_starts_more_kernels_than_upstreams(tmp_path: Path) -> None:
    network = tiny_model(word_tokenizer(tmp_path), DEPTHS)
    image = np.random.default_rng(0).integers(0, 256, (64, 96, 3), np.uint8)
    with simulated_cuda():
        upstream, ours = deepcopy(network).to("cuda"), use_fast_layers(network.to("cuda"), "bf16")
        theirs = _of_upstream(upstream, torch.zeros(3, 64, 96, device="cuda"), "red circle . cargo .")
        mine = _of_ours(ours, image, ["red circle", "cargo"])
    print(f"\n{'':20}{'upstream':>10}{'ours':>10}")
    for stage in theirs:
        print(f"{stage:20}{theirs[stage]:10}{mine[stage]:10}")
    print(f"{'':20}{theirs.total():10}{mine.total():10}")
    assert all(mine[stage] <= theirs[stage] for stage in theirs), (theirs, mine)
