"""Numbers that steps leave on the device."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor


def as_numbers(values: Sequence[Tensor | float]) -> list[float]:
    """Tensors of one number, and numbers, as numbers; the tensors are read together, with one wait for the device."""
    tensors = [value.reshape(()).double() for value in values if isinstance(value, Tensor)]
    read = iter(torch.stack(tensors).tolist() if tensors else [])
    return [next(read) if isinstance(value, Tensor) else float(value) for value in values]
