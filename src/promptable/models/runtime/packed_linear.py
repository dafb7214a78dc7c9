"""Linear layers for inference on a CPU, their weights once and for all in the blocks that oneDNN computes with."""

import torch
from torch import Tensor, nn

from promptable.models.runtime.precision import InFloat32


class PackedLinear(nn.Module):
    """A linear layer that computes in its own type of numbers, whichever come in: float32 or bfloat16.

    Sums are float32's in both, and only the result is rounded. ``gelu`` computes the exact GELU in the same pass. The
    operators are those of torch.compile's CPU backend.
    """

    def __init__(self, linear: nn.Linear, numbers: torch.dtype = torch.float32, gelu: bool = False) -> None:
        super().__init__()
        self._numbers = numbers
        self._weight = torch.ops.mkldnn._reorder_linear_weight(linear.weight.detach().to(numbers))
        self._bias = None if linear.bias is None else linear.bias.detach().to(numbers)
        self._activation: tuple[str, list[float], str] = ("gelu", [], "none") if gelu else ("none", [], "")

    def forward(self, features: Tensor) -> Tensor:
        """[..., in] -> [..., out]."""
        packed: Tensor = torch.ops.mkldnn._linear_pointwise(
            features.to(self._numbers), self._weight, self._bias, *self._activation
        )
        return packed


def linear_of(weight: Tensor, bias: Tensor | None) -> nn.Linear:
    """The layer with these weights [out, in] and biases [out]."""
    linear = nn.Linear(weight.shape[1], weight.shape[0], bias is not None, device="meta")
    linear.weight = nn.Parameter(weight.detach(), requires_grad=False)
    if bias is not None:
        linear.bias = nn.Parameter(bias.detach(), requires_grad=False)
    return linear


def can_pack(device: torch.device, numbers: torch.dtype) -> bool:
    """Whether layers of a model there, that computes in these numbers, can be ``PackedLinear``."""
    if device.type != "cpu" or not torch._C._has_mkldnn:
        return False
    return numbers is torch.float32 or (numbers is torch.bfloat16 and torch.ops.mkldnn._is_mkldnn_bf16_supported())


def pack_linears(model: nn.Module, numbers: torch.dtype = torch.float32) -> None:
    """Make every ``nn.Linear`` of a model in evaluation mode on the CPU a ``PackedLinear``; one in float32 stays so."""
    for name, child in model.named_children():
        if type(child) is nn.Linear:
            setattr(model, name, PackedLinear(child, numbers))
        else:
            pack_linears(child, torch.float32 if isinstance(child, InFloat32) else numbers)
