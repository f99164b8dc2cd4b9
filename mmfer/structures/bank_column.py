"""One value that is remembered per training sample."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

Zeros = Callable[..., Tensor]
_SMALLEST_FIRST = (torch.int8, torch.int16, torch.int32, torch.int64)


@dataclass(frozen=True)
class Column:
    """One remembered value per sample.

    Args:
        shape: Of one sample's value; `()` for a number, `('num_classes',)` for a distribution.
        dtype: Of the value. `'class_id'`: int64 where it is read and staged, and kept in the smallest type that has
            room for all classes, as ten million int64 take 80 MB.
        start: What it begins with: a number, `'label'` (the observed class id) or `'one_hot'` (of it).
    """

    shape: tuple[int | str, ...] = ()
    dtype: torch.dtype | Literal['class_id'] = torch.float32
    start: float | str = 0.0

    @property
    def read_as(self) -> torch.dtype:
        """The type in which values are read and staged."""
        return torch.int64 if self.dtype == 'class_id' else self.dtype

    def kept_as(self, num_classes: int) -> torch.dtype:
        """The type in which values are kept, of K classes."""
        if self.dtype != 'class_id':
            return self.dtype
        return next(dtype for dtype in _SMALLEST_FIRST if num_classes - 1 <= torch.iinfo(dtype).max)

    def initial(self, labels: Tensor, num_classes: int, zeros: Zeros = torch.zeros) -> Tensor:
        """The value of every sample before the first step.

        Args:
            labels: Observed labels [N].
            num_classes: K.
            zeros: Makes the column, as torch.zeros does; where it lies is up to it.
        """
        sizes = ('num_classes',) if self.start == 'one_hot' else () if self.start == 'label' else self.shape
        shape = tuple(num_classes if size == 'num_classes' else int(size) for size in sizes)
        values = zeros((len(labels), *shape), dtype=self.kept_as(num_classes), device=labels.device)
        if self.start == 'one_hot':  # in place: torch's one_hot is of int64, eight times as large as a float16
            return values.scatter_(1, labels[:, None], 1)
        if self.start == 'label':
            return values.copy_(labels)
        return values.fill_(float(self.start)) if self.start else values  # what is 0 already need not be touched
