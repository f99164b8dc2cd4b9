"""A loop over epochs that goes on within one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Any

from mmengine.runner import EpochBasedTrainLoop
from torch.utils.data import DataLoader

from mmfer.registry import LOOPS


@LOOPS.register_module()
class ResumableEpochLoop(EpochBasedTrainLoop):
    """MMEngine's loop; where a checkpoint was saved within an epoch, that epoch goes on behind it.

    Samplers draw from (seed, epoch), so the faces of an epoch come in the order that they had; those of the iterations
    that are done are passed over without being read.
    """

    def run_epoch(self) -> None:
        """Runs what is left of an epoch."""
        self.runner.call_hook('before_train_epoch')
        self.runner.model.train()
        done = self._iter - self._epoch * len(self.dataloader)
        if done:
            pass_over(self.dataloader, done)
        for i, data_batch in enumerate(self.dataloader, done):
            self.run_iter(i, data_batch)
        self.runner.call_hook('after_train_epoch')
        self._epoch += 1


def pass_over(loader: DataLoader[Any], batches: int) -> None:
    """Lets a loader begin its next epoch behind some batches, once."""
    # torch forbids another batch_sampler where workers may run; here none does yet.
    object.__setattr__(loader, 'batch_sampler', _PassOver(loader.batch_sampler, batches))


class _PassOver:
    def __init__(self, batch_sampler: Any, batches: int):
        self._batch_sampler, self._batches = batch_sampler, batches

    def __iter__(self) -> Iterator[Sequence[int]]:
        # Reached with the first batch: a loader with workers makes two iterators, and reads from the second.
        batches, self._batches = self._batches, 0
        yield from islice(iter(self._batch_sampler), batches, None)

    def __len__(self) -> int:
        return len(self._batch_sampler)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._batch_sampler, name)
