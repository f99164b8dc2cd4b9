"""Sizes, commits and saves what is remembered per sample."""

from pathlib import Path
from typing import Any

import torch
from mmengine.dist import get_world_size
from mmengine.hooks import Hook
from mmengine.model import is_model_wrapper
from mmengine.runner import Runner

from mmfer.engine.supervision_of import supervision_of
from mmfer.models.supervision.before_run import check_learns, check_run, name_classes
from mmfer.registry import HOOKS


@HOOKS.register_module()
class SampleBankHook(Hook):
    """Fits a model's supervision to the training set before the first step, and carries its SampleBank.

    Before the run the bank gets a row per training sample, and a part that needs landmarks is refused on data without.
    After every iteration the staged rows are committed. The bank has a key of its own in checkpoints: resuming restores
    it, `load_from` ignores it, exported weights leave it out.

    Args:
        on_disk: For training sets whose memory per sample does not fit in memory: True lets the bank lie in files of
            the run's folder, a text in files of that folder, such as one of a fast disk of this machine. Every process
            has its own. On a GPU each read and commit then waits for the device.

    Raises:
        ValueError: `on_disk` is something else, or no folder that is there.
    """

    priority = 'NORMAL'

    def __init__(self, on_disk: bool | str = False):
        there = Path(on_disk).expanduser().is_dir() if isinstance(on_disk, str) else isinstance(on_disk, bool)
        if not there:
            raise ValueError(
                'SampleBankHook.on_disk must be True (in the folder of the run), False, or a folder that is there, '
                f'got {on_disk!r}'
            )
        self.on_disk = on_disk

    def before_run(self, runner: Runner) -> None:
        """Sizes the bank from the data set.

        Raises:
            ValueError: If a part needs landmarks and the data set gives none, or the data set has no sample indices.
        """
        supervision = supervision_of(runner)
        if supervision is None or isinstance(runner._train_loop, dict | None):
            return  # a test run
        dataset = runner.train_dataloader.dataset
        missing = [name for name in ('get_gt_labels', 'fingerprint', 'has_landmarks') if not hasattr(dataset, name)]
        if missing:
            raise ValueError(
                f'the supervision remembers values per sample, but {type(dataset).__name__} has no {missing[0]}; '
                'use an mmfer.FaceDataset for train_dataloader, and mmfer.ConcatFaces to join several'
            )
        needs = supervision.needs_landmarks
        if needs and not dataset.has_landmarks:
            raise ValueError(
                f'{needs} needs landmarks, but the training set {type(dataset).__name__} gives none: name a landmark '
                f'file, such as train_dataloader.dataset.landmarks="landmarks68.npz", or take the part out with None'
            )
        check_learns(supervision)
        size = getattr(runner.train_dataloader, 'batch_size', None)  # None: a batch_sampler of its own knows
        if size is not None:
            check_run(supervision, size * get_world_size(), runner.train_loop.max_epochs)
        name_classes(supervision, dataset.metainfo['classes'])
        device = 'cpu' if self.on_disk else next(runner.model.parameters()).device
        labels = torch.as_tensor(dataset.get_gt_labels(), device=device)
        folder = runner.work_dir if self.on_disk is True else Path(self.on_disk).expanduser() if self.on_disk else None
        supervision.bank.allocate(labels, len(dataset.metainfo['classes']), dataset.fingerprint(), folder)

    def before_train(self, runner: Runner) -> None:
        """Checks the network as it will run: wrapped, with SyncBatchNorm, compiled."""
        supervision = supervision_of(runner)
        if supervision is not None:
            wrapped = is_model_wrapper(runner.model)
            supervision.check(*(runner.model.module, runner.model) if wrapped else (runner.model,))

    def after_train_iter(self, runner: Runner, batch_idx: int, data_batch: Any = None, outputs: Any = None) -> None:
        """Commits what the iteration has to remember."""
        supervision = supervision_of(runner)
        if supervision is not None:
            supervision.commit()

    def before_save_checkpoint(self, runner: Runner, checkpoint: dict[str, Any]) -> None:
        """Adds the bank; it is the same on every rank, so that no rank has to be asked."""
        supervision = supervision_of(runner)
        if supervision is not None and supervision.bank.columns:
            checkpoint['sample_bank'] = supervision.bank.state_dict()

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict[str, Any]) -> None:
        """Restores the bank of a run that is resumed.

        Raises:
            ValueError: If the checkpoint has none, or one of other data or parts.
        """
        supervision = supervision_of(runner)
        if supervision is not None and supervision.bank.columns and runner._resume:
            if 'sample_bank' not in checkpoint:
                raise ValueError(
                    'the checkpoint remembers nothing per sample, but the config needs '
                    f'{sorted(supervision.bank.columns)}; resume with the config it was trained with, or start '
                    'anew with load_from'
                )
            supervision.bank.load_state_dict(checkpoint['sample_bank'])
