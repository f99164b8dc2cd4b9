"""That accumulated gradients of several batches are those of one large batch."""

from __future__ import annotations

import logging
from collections.abc import Sized
from typing import Any, cast

from mmengine.hooks import EMAHook
from mmengine.logging import print_log
from mmengine.model import is_model_wrapper
from mmengine.runner import Runner
from torch import nn
from torch.utils.data import DataLoader

from mmfer.engine.dataset_parts import face_datasets

KEY = 'optim_wrapper.accumulative_counts'


def check_accumulation(runner: Runner) -> None:
    """Every part of the network gives with accumulated batches what it gives with one of as many faces.

    Batch norm does not, which MMEngine warns of; and where the last batch of an epoch is a smaller one, or the batches
    of an epoch cannot be parted into updates, the log says so.

    Raises:
        ValueError: A part does not.
    """
    batches = (runner.cfg.get('optim_wrapper') or {}).get('accumulative_counts', 1)
    if batches == 1:
        return
    model = runner.model.module if is_model_wrapper(runner.model) else runner.model
    where, why = first_that_needs_whole_batches(model, _all_have_landmarks(runner.train_dataloader.dataset))
    if why:
        raise ValueError(
            f'{KEY}={batches}: {where} {why}, so that {batches} accumulated batches are not the same as one of as many '
            f'faces: set {KEY}=1; where memory is short, train in mixed precision (optim_wrapper.type=AmpOptimWrapper) '
            'or with more processes, whose batches count as one'
        )
    for hook in runner.hooks:
        if isinstance(hook, EMAHook) and hook.ema_cfg.get('interval', 1) != batches:
            raise ValueError(
                f'{KEY}={batches}: EMAHook averages the weights behind every batch, also where they have not changed: '
                f'give it interval={batches}'
            )
    _say_what_is_left_over(runner.train_dataloader, batches)


def first_that_needs_whole_batches(model: nn.Module, all_have_landmarks: bool) -> tuple[str, str]:
    """Where the first module of a network stands that makes something of a batch as a whole, and what; or ''s."""
    for path, module in model.named_modules():
        asked = getattr(module, 'whole_batch', None)
        if callable(asked) and (why := asked(all_have_landmarks)):
            place = path.replace('supervision.methods.', 'supervision.')
            return f'{type(module).__name__} (model.{place})', why
    return '', ''


def _all_have_landmarks(dataset: Any) -> bool:
    valid = [part.columns.get('landmark_valid') for part in face_datasets(dataset)]
    return bool(valid) and all(column is not None and column.all() for column in valid)


def _say_what_is_left_over(loader: DataLoader[Any], batches: int) -> None:
    if loader.batch_size is None:
        return
    left = len(cast('Sized', loader.sampler)) % loader.batch_size
    if left and not loader.drop_last:
        _warn(
            f'{KEY}={batches}: each of the {left} faces of the last batch of an epoch counts for more than those of '
            f'batches of {loader.batch_size}: set train_dataloader.drop_last=True'
        )
    if len(loader) % batches:
        _warn(
            f'{KEY}={batches} does not divide the {len(loader)} batches of an epoch: an update has faces of two epochs'
        )


def _warn(sentence: str) -> None:
    print_log(sentence, logger='current', level=logging.WARNING)
