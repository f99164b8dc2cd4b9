"""A batch of annotations, stacked by column."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any, overload

import torch
from mmpretrain.structures import DataSample
from torch import Tensor
from torch.nn import functional as F

# What a DataSample carries as metainfo but a batch keeps as a column.
_INDEX_KEYS = ('sample_idx', 'clean_label')


@dataclass(eq=False)
class FaceBatch(Sequence[DataSample]):
    """The annotations of N faces as stacked columns, readable as a list of ``DataSample``.

    A training step wants tensors, stock heads and metrics want one ``DataSample`` a face. The columns cross from
    a loader's worker and to the device in a handful of copies instead of several per face; ``batch[i]`` and
    iteration make the ``DataSample`` on demand.

    Args:
        label: Observed class ids, int64 [N].
        sample_idx: Row of each face in the (concatenated) dataset, int64 [N].
        score: Annotators' votes as shares, float [N, K]; ``gt_score`` of the samples.
        landmarks: Points as (x, y) in pixels of ``inputs``, pixel centres at integers, float32 [N, L, 2].
        landmark_valid: Where the points are to be trusted, bool [N].
        clean_label: The label before noise was added, int64 [N], -1 where unknown. For diagnostics only.
        valence: How pleasant the expression is, float32 [N] in [-1, 1], nan where unknown.
        arousal: How excited it is, likewise.
        metainfo: One dict a face (img_path, ori_shape, img_shape, ...), a list or what makes them on demand; empty, or
            of length N.
    """

    label: Tensor
    sample_idx: Tensor
    score: Tensor | None = None
    landmarks: Tensor | None = None
    landmark_valid: Tensor | None = None
    clean_label: Tensor | None = None
    valence: Tensor | None = None
    arousal: Tensor | None = None
    metainfo: Sequence[dict[str, Any]] = field(default_factory=list)

    def __post_init__(self) -> None:
        for name, column in self.columns().items():
            if len(column) != len(self.label):
                raise ValueError(f'FaceBatch.{name} has {len(column)} rows but there are {len(self.label)} labels')
        if self.metainfo and len(self.metainfo) != len(self.label):
            raise ValueError(f'FaceBatch.metainfo has {len(self.metainfo)} entries for {len(self.label)} labels')

    def columns(self) -> dict[str, Tensor]:
        """The columns that are present, by name."""
        values = {f.name: getattr(self, f.name) for f in fields(self) if f.name != 'metainfo'}
        return {name: value for name, value in values.items() if value is not None}

    def __len__(self) -> int:
        return len(self.label)

    @overload
    def __getitem__(self, index: int) -> DataSample: ...

    @overload
    def __getitem__(self, index: slice) -> FaceBatch: ...

    def __getitem__(self, index: int | slice) -> DataSample | FaceBatch:
        """The ``DataSample`` of one face; a slice gives a smaller ``FaceBatch``."""
        if isinstance(index, slice):
            columns = {name: column[index] for name, column in self.columns().items()}
            return FaceBatch(**columns, metainfo=self.metainfo[index])
        meta = dict(self.metainfo[index]) if self.metainfo else {}
        meta['sample_idx'] = int(self.sample_idx[index])
        if self.clean_label is not None and self.clean_label[index] >= 0:
            meta['clean_label'] = int(self.clean_label[index])
        sample = DataSample(metainfo=meta)
        sample.gt_label = self.label[index].reshape(1)
        if self.score is not None:
            sample.set_gt_score(self.score[index])
        if self.landmarks is not None:
            sample.landmarks = self.landmarks[index]
        if self.landmark_valid is not None:
            sample.landmark_valid = self.landmark_valid[index]
        if self.valence is not None:
            sample.valence = self.valence[index]
        if self.arousal is not None:
            sample.arousal = self.arousal[index]
        return sample

    def __iter__(self) -> Iterator[DataSample]:
        """The faces; what a ``DataSample`` has as plain numbers is read from the device once for all of them."""
        clean = None if self.clean_label is None else self.clean_label.cpu()
        batch = replace(self, sample_idx=self.sample_idx.cpu(), clean_label=clean)
        return (batch[i] for i in range(len(self)))

    def to(self, device: torch.device | str, non_blocking: bool = False) -> FaceBatch:
        """The same batch with its columns on ``device``."""
        return self._apply(lambda column: column.to(device, non_blocking=non_blocking))

    def pin_memory(self) -> FaceBatch:
        """The same batch in page-locked memory (called by the DataLoader)."""
        return self._apply(Tensor.pin_memory)

    def _apply(self, function: Callable[[Tensor], Tensor]) -> FaceBatch:
        return FaceBatch(**{name: function(column) for name, column in self.columns().items()}, metainfo=self.metainfo)

    @classmethod
    def from_data_samples(cls, samples: Iterable[DataSample]) -> FaceBatch:
        """Stacks data samples. Columns that only some of them have are filled with 'unknown'.

        A face without points gets zeros and ``landmark_valid=False``; one without votes gets its label as the only
        vote; one without a clean label gets -1, one without valence or arousal nan.

        Raises:
            ValueError: A sample has no label or no sample index.
        """
        samples = list(samples)
        for i, sample in enumerate(samples):
            missing = [key for key in ('gt_label', 'sample_idx') if key not in sample]
            if missing:
                raise ValueError(f'data sample {i} has no {" and no ".join(missing)}: build it with mmfer.PackFace')
        label = torch.cat([sample.gt_label.reshape(1) for sample in samples])
        return cls(
            label=label,
            sample_idx=torch.tensor([int(sample.sample_idx) for sample in samples]),
            score=_stack(samples, 'gt_score', lambda i, like: F.one_hot(label[i], len(like)).to(like)),
            landmarks=_stack(samples, 'landmarks', lambda i, like: torch.zeros_like(like)),
            landmark_valid=_landmark_valid(samples),
            clean_label=_clean_label(samples),
            valence=_stack(samples, 'valence', lambda i, like: torch.full_like(like, torch.nan)),
            arousal=_stack(samples, 'arousal', lambda i, like: torch.full_like(like, torch.nan)),
            metainfo=[{k: v for k, v in s.metainfo_items() if k not in _INDEX_KEYS} for s in samples],
        )


def _stack(samples: list[DataSample], key: str, unknown: Callable[[int, Tensor], Tensor]) -> Tensor | None:
    like = next((sample.get(key) for sample in samples if key in sample), None)
    if like is None:
        return None
    return torch.stack([sample.get(key) if key in sample else unknown(i, like) for i, sample in enumerate(samples)])


def _landmark_valid(samples: list[DataSample]) -> Tensor | None:
    if not any('landmarks' in sample for sample in samples):
        return None
    return torch.tensor(['landmarks' in s and bool(s.get('landmark_valid', True)) for s in samples])


def _clean_label(samples: list[DataSample]) -> Tensor | None:
    if not any('clean_label' in sample for sample in samples):
        return None
    return torch.tensor([int(sample.get('clean_label', -1)) for sample in samples])
