"""The many ways in which PyTorch and numpy say that there is not enough memory, as one error."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from promptable.errors import OutOfMemoryError

_MESSAGES = (
    "out of memory",  # CUDA
    "CUBLAS_STATUS_ALLOC_FAILED",
    "CUDNN_STATUS_ALLOC_FAILED",
    "DefaultCPUAllocator: can't allocate memory",
)


@contextmanager
def naming_out_of_memory() -> Iterator[None]:
    """Raise OutOfMemoryError for what failed inside for want of memory, once the GPU's cached memory is given back."""
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        if not isinstance(error, MemoryError) and not any(text in str(error) for text in _MESSAGES):
            raise
        message = str(error)
    else:
        return
    torch.cuda.empty_cache()  # outside the handler: the error's traceback holds the failed call's tensors
    raise OutOfMemoryError(f"not enough memory: {message}")
