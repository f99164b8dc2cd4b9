"""What is remembered per training sample: label distributions, relabelled classes, instability."""

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import torch
from mmengine.dist import broadcast
from torch import Tensor

from mmfer.structures.bank_column import Column
from mmfer.structures.mapped_files import mapped_zeros


class SampleBank:
    """Per-sample memory of a training run, equal on all ranks.

    Deliberately no module and no buffers: averaging models (EMA) or buffers over ranks would corrupt class ids, and
    nothing of it belongs into published weights. Parts declare columns; `SampleBankHook` sizes the bank from the data
    set and keeps it in the checkpoint under a key of its own. A step reads the committed values and stages new ones;
    they take effect at :meth:`commit`, after the iteration.

    The columns lie on the device, or, the same to the bit, in files mapped into memory (`allocate(folder=...)`). Such
    files have no name: they go with the process, and a run that was killed goes on from its checkpoint alone.
    """

    def __init__(self) -> None:
        self._declared: dict[str, Column] = {}
        self._values: dict[str, Tensor] = {}
        self._staged: list[tuple[str, Tensor, Tensor]] = []
        self._of_epoch: dict[str, tuple[int, Tensor]] = {}
        self._labels = torch.empty(0, dtype=torch.int8)
        self.seen = torch.empty(0, dtype=torch.bool)
        """Of which samples anything was ever written [N]: the values of the others are where they started."""
        self.fingerprint, self._num_classes = '', 0

    def declare(self, columns: Mapping[str, Column], owner: str) -> None:
        """Registers columns at build.

        Raises:
            ValueError: If another part has declared a column of that name.
        """
        for name, column in columns.items():
            if name in self._declared:
                raise ValueError(f'{owner} declares the bank column "{name}", which another part has declared already')
            self._declared[name] = column

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of the declared columns."""
        return tuple(self._declared)

    @property
    def labels(self) -> Tensor:
        """Observed labels of all samples, int64 [N], for statistics per class; known once the bank is sized."""
        return self._labels.long()

    def allocate(
        self, labels: Tensor, num_classes: int, fingerprint: str = '', folder: str | Path | None = None
    ) -> None:
        """Sizes the bank for a training set.

        Args:
            labels: Observed labels, int64 [N], on the device that shall hold the bank; on the CPU where files do.
            num_classes: K.
            fingerprint: Of the data set; resuming refuses another one.
            folder: On whose disk the columns lie, for training sets that do not fit in memory. None: in memory.

        Raises:
            OSError: The disk has no room for them.
        """
        zeros = torch.zeros if folder is None else partial(mapped_zeros, Path(folder))
        self._values = {name: column.initial(labels, num_classes, zeros) for name, column in self._declared.items()}
        self._staged.clear()
        self._of_epoch.clear()
        self._labels = Column(dtype='class_id', start='label').initial(labels, num_classes, zeros)
        self._num_classes = num_classes
        self.seen = zeros((len(labels),), dtype=torch.bool, device=labels.device)
        self.fingerprint = fingerprint

    def read(self, name: str, sample_idx: Tensor) -> Tensor:
        """Committed values [N, ...] of the given samples [N], on their device.

        Raises:
            RuntimeError: If the bank has not been sized.
        """
        if name not in self._values:
            raise RuntimeError(
                f'the SampleBank has no rows for "{name}" yet: add sample_bank=dict(type="mmfer.SampleBankHook") to '
                'default_hooks (configs/_base_/default_runtime.py has it), or call bank.allocate(labels, num_classes)'
            )
        return _rows(self._values[name], sample_idx).to(self._declared[name].read_as)

    def observed(self, sample_idx: Tensor) -> Tensor:
        """Observed labels of the given samples [N], on their device."""
        return _rows(self._labels, sample_idx).long()

    def column(self, name: str) -> Tensor:
        """Committed values of all samples [N, ...], as they are kept, for reports."""
        return self._values[name]

    def of_epoch(self, name: str, epoch: int, compute: Callable[[], Tensor]) -> Tensor:
        """What follows from the bank as it stands when an epoch begins.

        It is kept in checkpoints, so that a run which is resumed within the epoch has the same.

        Args:
            name: Whose it is.
            epoch: That of the step.
            compute: Gives it; called once an epoch.
        """
        if name not in self._of_epoch or self._of_epoch[name][0] != epoch:
            self._of_epoch[name] = (epoch, compute())
        return self._of_epoch[name][1]

    def stage(self, name: str, sample_idx: Tensor, rows: Tensor) -> None:
        """Notes new values of the given samples; they take effect at :meth:`commit`."""
        self._staged.append((name, sample_idx, rows.detach().to(self._declared[name].read_as)))

    def commit(self) -> None:
        """Writes what was staged; rank 0's values count, so that every rank holds the same.

        A sample that stands several times in the batch gets the mean of its rows (class ids: the smallest), which does
        not depend on the order in which ranks or workers delivered them. Rows that are no finite numbers, as a step
        that went wrong gives, are left out, as a running mean would never recover from them.
        """
        for name, sample_idx, rows in self._staged:
            merged = _merge_duplicates(sample_idx, rows)
            broadcast(merged)
            values = self._values[name]
            rows, merged = sample_idx.to(values.device), merged.to(values)
            values[rows] = torch.where(merged.isnan(), values[rows], merged)
            # The rows of a sample that stands several times are alike by now.
            self.seen[rows] = self.seen[rows] | ~merged.reshape(len(merged), -1).isnan().any(1)
        self._staged.clear()

    def state_dict(self) -> dict[str, Any]:
        """Everything a resumed run needs."""
        return {
            'fingerprint': self.fingerprint,
            'columns': dict(self._values),
            'seen': self.seen,
            'of_epoch': dict(self._of_epoch),
        }

    def changed(self, columns: Mapping[str, Tensor], labels: Tensor, num_classes: int) -> Tensor:
        """In which rows any of the declared columns has another value than it began with, bool [N].

        For checkpoints that do not say which samples were seen. Where none of the columns is declared: in all.
        """
        differ = [
            (columns[name].to(labels.device) != column.initial(labels, num_classes)).reshape(len(labels), -1).any(1)
            for name, column in self._declared.items()
            if name in columns
        ]
        return torch.stack(differ).any(0) if differ else torch.ones_like(labels, dtype=torch.bool)

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restores what :meth:`state_dict` gave.

        Raises:
            ValueError: If it stems from another training set, or from other parts.
        """
        if state['fingerprint'] != self.fingerprint:
            raise ValueError(
                'the checkpoint remembers another training set (other images or labels) than the config names; '
                'resume with the data it was trained on, or start anew with load_from'
            )
        if set(state['columns']) != set(self._values):
            raise ValueError(
                f'the checkpoint remembers {sorted(state["columns"])} per sample, the config needs '
                f'{sorted(self._values)}; resume with the config it was trained with, or start anew with load_from'
            )
        seen = state.get('seen')  # earlier checkpoints do not say
        self.seen.copy_(self.changed(state['columns'], self.labels, self._num_classes) if seen is None else seen)
        for name, rows in state['columns'].items():
            self._values[name].copy_(rows)
        kept = state.get('of_epoch', {})  # earlier checkpoints are of whole epochs
        self._of_epoch = {name: (epoch, value.to(self.seen.device)) for name, (epoch, value) in kept.items()}


def _rows(column: Tensor, sample_idx: Tensor) -> Tensor:
    return column[sample_idx.to(column.device)].to(sample_idx.device, non_blocking=True)


def _merge_duplicates(sample_idx: Tensor, rows: Tensor) -> Tensor:
    """Gives the rows of one sample a common value, without a host sync (as torch.unique would need)."""
    same = sample_idx[:, None] == sample_idx[None, :]
    flat = rows.reshape(len(rows), -1)
    if rows.dtype.is_floating_point:
        finite = flat.isfinite().all(1)
        share = (same & finite).to(rows.dtype)
        merged = (share @ flat.masked_fill(~finite[:, None], 0)) / share.sum(1, keepdim=True)  # nan where none is
    else:
        candidates = torch.where(same[..., None], flat.long()[None], torch.iinfo(torch.int64).max)
        merged = candidates.amin(1).to(rows.dtype)
    return merged.view_as(rows)
