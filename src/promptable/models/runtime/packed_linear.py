"""Linear layers for inference on a CPU, their weights once and for all in the blocks that oneDNN computes with."""

from typing import Literal

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from promptable.models.runtime.precision import InFloat32

Activation = Literal["none", "gelu", "relu"]


class ActivatedLinear(nn.Module):
    """A linear layer and what follows it, the exact GELU or ReLU: one step for ``pack_linears``."""

    def __init__(self, linear: nn.Linear, activation: Activation) -> None:
        super().__init__()
        self.linear, self.activation = linear, activation

    def forward(self, features: Tensor) -> Tensor:
        """[..., in] -> [..., out]."""
        passed = self.linear(features)
        activated: Tensor = passed.relu_() if self.activation == "relu" else F.gelu(passed)
        return activated


class PackedLinear(nn.Module):
    """A linear layer that computes in its own type of numbers, whichever come in: float32 or bfloat16.

    Sums are float32's in both, and the activation's argument; only the result is rounded. The operators are those of
    torch.compile's CPU backend.
    """

    def __init__(
        self, linear: nn.Linear, numbers: torch.dtype = torch.float32, activation: Activation = "none"
    ) -> None:
        super().__init__()
        self._numbers = numbers
        self._weight = torch.ops.mkldnn._reorder_linear_weight(linear.weight.detach().to(numbers))
        self._bias = None if linear.bias is None else linear.bias.detach().to(numbers)
        self._activation: tuple[str, list[float], str] = (activation, [], "none" if activation == "gelu" else "")

    def forward(self, features: Tensor) -> Tensor:
        """[..., in] -> [..., out]."""
        packed: Tensor = torch.ops.mkldnn._linear_pointwise(
            features.to(self._numbers), self._weight, self._bias, *self._activation
        )
        return packed


def pack_linears(model: nn.Module, device: torch.device, numbers: torch.dtype) -> None:
    """Make the linear layers of a model in evaluation mode on this device ``PackedLinear``, in the numbers it runs in.

    What is ``InFloat32`` stays so. Nothing changes on a GPU; in float16, whose overflows are computed again with the
    weights in float32; and where oneDNN does not have the numbers.
    """
    if can_pack(device, numbers):
        _pack(model, numbers)


def can_pack(device: torch.device, numbers: torch.dtype) -> bool:
    """Whether layers there can be packed in these numbers."""
    if device.type != "cpu" or not torch._C._has_mkldnn:
        return False
    return numbers is torch.float32 or (numbers is torch.bfloat16 and torch.ops.mkldnn._is_mkldnn_bf16_supported())


def linear_of(weight: Tensor, bias: Tensor | None) -> nn.Linear:
    """The layer with these weights [out, in] and biases [out]."""
    linear = nn.Linear(weight.shape[1], weight.shape[0], bias is not None, device="meta")
    linear.weight = nn.Parameter(weight.detach(), requires_grad=False)
    if bias is not None:
        linear.bias = nn.Parameter(bias.detach(), requires_grad=False)
    return linear


def _pack(model: nn.Module, numbers: torch.dtype) -> None:
    for name, child in model.named_children():
        if type(child) is nn.Linear:
            setattr(model, name, PackedLinear(child, numbers))
        elif isinstance(child, ActivatedLinear):
            setattr(model, name, PackedLinear(child.linear, numbers, child.activation))
        else:
            _pack(child, torch.float32 if isinstance(child, InFloat32) else numbers)
