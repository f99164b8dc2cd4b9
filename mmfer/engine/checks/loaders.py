"""That there are batches to train on, and the same faces in every process."""

from __future__ import annotations

import logging
from typing import Any

from mmengine.dist import all_gather_object
from mmengine.logging import print_log
from torch import nn
from torch.utils.data import DataLoader


def check_batches(loader: DataLoader[Any]) -> None:
    """There is at least one batch to train on; with ``drop_last`` a small set may give none.

    Raises:
        ValueError: There is not.
    """
    if len(loader) == 0:
        raise ValueError(
            f'train_dataloader gives no batch: its {len(loader.sampler):,} faces a process do not fill '
            f'one of {loader.batch_size}; set a smaller train_dataloader.batch_size'
        )


def check_norm(loader: DataLoader[Any], model: nn.Module) -> None:
    """Warns of batches of one face, which batch norm normalises by itself and evaluation otherwise."""
    if loader.batch_size is None or getattr(getattr(model, 'backbone', None), 'norm_eval', False):
        return
    norm = next((name for name, part in model.named_modules() if isinstance(part, nn.BatchNorm2d)), None)
    left = len(loader.sampler) % loader.batch_size
    if norm is None or not (loader.batch_size == 1 or (left == 1 and not loader.drop_last)):
        return
    which = 'every batch' if loader.batch_size == 1 else 'the last batch of an epoch'
    cure = 'a larger train_dataloader.batch_size' if loader.batch_size == 1 else 'train_dataloader.drop_last=True'
    print_log(
        f'{which} has one face a process, which batch norm ({norm}) normalises by itself, unlike in evaluation: '
        f'set {cure}',
        logger='current',
        level=logging.WARNING,
    )


def check_ranks_agree(dataset: Any) -> None:
    """Every process has the same faces in the same order; a sampler deals out row numbers.

    Raises:
        ValueError: Some process sees other files or labels.
    """
    if hasattr(dataset, 'fingerprint') and len(set(all_gather_object(dataset.fingerprint()))) > 1:
        raise ValueError('the processes have different training sets: make sure that they all see the same files')
