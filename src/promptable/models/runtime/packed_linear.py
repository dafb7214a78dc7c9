"""Linear layers for inference: their weights are brought once into the form that the device computes with.

On a CPU these are oneDNN's blocks; on a GPU it is bfloat16, to which autocast would round them at every call.
"""

from typing import Literal

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from promptable.models.runtime.precision import InFloat32

Activation = Literal["none", "gelu", "relu"]


class ActivatedLinear(nn.Module):
    """A linear layer and an activation (the exact GELU, or ReLU), of which ``pack_linears`` makes one operator."""

    def __init__(self, linear: nn.Linear, activation: Activation) -> None:
        super().__init__()
        self.linear, self.activation = linear, activation

    def forward(self, features: Tensor) -> Tensor:
        """[..., in] -> [..., out]."""
        passed = self.linear(features)
        activated: Tensor = passed.relu_() if self.activation == "relu" else F.gelu(passed)
        return activated


class PackedLinear(nn.Module):
    """A linear layer that computes in the dtype ``numbers``, float32 or bfloat16, whatever the dtype of its input.

    For both dtypes the sums and the argument of the activation are float32; only the result is rounded. The operators
    are those of torch.compile's CPU backend.
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
    """Prepare the linear layers of a model in evaluation mode to compute in the dtype ``numbers``.

    On a CPU they become ``PackedLinear``, in a dtype that oneDNN supports. On a GPU in bfloat16 their weights are
    rounded; the model then runs only under autocast to bfloat16. Layers inside ``InFloat32`` stay float32. In float16
    nothing changes: where float16 overflows, the model runs again in float32 with the same weights.
    """
    if can_pack(device, numbers):
        _pack(model, numbers)
    if device.type == "cuda" and numbers is torch.bfloat16:
        _round(model)


def can_pack(device: torch.device, numbers: torch.dtype) -> bool:
    """Whether layers on this device can be packed in this dtype."""
    if device.type != "cpu" or not torch._C._has_mkldnn:
        return False
    return numbers is torch.float32 or (numbers is torch.bfloat16 and torch.ops.mkldnn._is_mkldnn_bf16_supported())


def linear_of(weight: Tensor, bias: Tensor | None) -> nn.Linear:
    """A linear layer with this weight [out, in] and bias [out]."""
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


def _round(model: nn.Module) -> None:
    for child in model.children():
        if type(child) is nn.Linear:
            child.to(torch.bfloat16)
        elif not isinstance(child, InFloat32):
            _round(child)
