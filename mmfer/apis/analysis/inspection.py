"""A finished run as its pictures and tools look at it: the whole network, the training set, and what is remembered."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmengine.config import Config
from mmengine.device import get_device
from mmengine.registry import DATASETS, MODELS, DefaultScope
from torch import Tensor, nn

from mmfer.apis.checkpoints.agreement import check_agreement, trained_classes
from mmfer.apis.checkpoints.checkpoint_file import read_checkpoint
from mmfer.apis.config import read_config
from mmfer.apis.deployment import check_fits, evaluated_state
from mmfer.datasets import LoadFace, collate_faces
from mmfer.engine.checks.classes import check_dataset_classes
from mmfer.models.classifiers import FERClassifier
from mmfer.structures import FaceBatch


class Run:
    """What `read_run` returns.

    Args:
        cfg: The config.
        model: The whole classifier with its supervision, as the checkpoint has it, in eval mode.
        dataset: The training set.
        remembered: The checkpoint's `sample_bank`, if any.
        source: The checkpoint, for messages.
    """

    def __init__(
        self, cfg: Config, model: FERClassifier, dataset: Any, remembered: Mapping[str, Any] | None, source: str | Path
    ):
        self.cfg, self.model, self.dataset = cfg, model, dataset
        self._remembered, self._source = remembered, source

    @property
    def bank(self) -> dict[str, Tensor]:
        """What the run remembers per sample, column to [N, ...] on the CPU; {} where it remembers nothing.

        Raises:
            ValueError: It remembers other images or labels than the config names.
        """
        if self._remembered is None:
            return {}
        if self._remembered['fingerprint'] != self.dataset.fingerprint():
            raise ValueError(
                f'{self._source} remembers another training set (other images or labels) than the config '
                'names: give the data and the label noise that it was trained with'
            )
        columns = self._remembered['columns']  # class ids are kept small there
        return {
            name: rows.long() if rows.dtype in (torch.int8, torch.int16) else rows for name, rows in columns.items()
        }

    @property
    def seen(self) -> np.ndarray:
        """Which faces were drawn in training, so that something is remembered of them, bool [N]; all without a bank."""
        columns, labels = self.bank, torch.as_tensor(self.dataset.get_gt_labels())
        if not columns or self._remembered is None:
            return np.ones(len(labels), dtype=bool)
        seen = self._remembered.get('seen')
        if seen is None:  # earlier checkpoints do not say
            bank, classes = self.model.supervision.bank, self.dataset.metainfo['classes']
            seen = bank.changed(columns, labels, len(classes))
        return seen.cpu().numpy()

    def pictures(self, indices: Sequence[int] | np.ndarray, size: int = 96) -> list[np.ndarray]:
        """Stored faces without augmentation, RGB uint8 [size, size, 3]."""
        return pictures_of(self.dataset, indices, size)

    def batches(self, indices: Sequence[int], batch_size: int = 64) -> Iterator[tuple[Tensor, FaceBatch]]:
        """Faces as the network gets them, without augmentation, on its device.

        Yields:
            Normalised inputs [n, 3, H, W], and what came with them.
        """
        for start in range(0, len(indices), batch_size):
            faces = collate_faces([self.dataset[int(i)] for i in indices[start : start + batch_size]])
            data = self.model.data_preprocessor(faces, training=False)
            batch = data['data_samples']
            if not isinstance(batch, FaceBatch):  # from mmpretrain's own preprocessor
                batch = FaceBatch.from_data_samples(batch)
            yield data['inputs'], batch


def pictures_of(dataset: Any, indices: Sequence[int] | np.ndarray, size: int = 96) -> list[np.ndarray]:
    """Faces of a data set without augmentation, RGB uint8 [size, size, 3]."""
    load = LoadFace(size)
    faces = [load.transform(dataset.get_data_info(int(i)))['img'] for i in indices]
    return [np.ascontiguousarray(face[..., ::-1]) for face in faces]


def read_run(
    config: str | Path,
    checkpoint: str | Path,
    cfg_options: Mapping[str, Any] | None = None,
    device: str | None = None,
    force: bool = False,
) -> Run:
    """Reads a run to look into it: every tensor of the checkpoint, also those that only training needs.

    The file of pretrained weights, which training started from, need not be there.

    Args:
        config: The config that it was trained with.
        checkpoint: A checkpoint of training.
        cfg_options: Values by dotted key, as `--cfg-options` gives them.
        device: Defaults to None: the accelerator where there is one.
        force: Whether to warn instead of raising where the config differs from the checkpoint's.

    Raises:
        FileNotFoundError: There is no such config or checkpoint, or the training data are not there.
        ValueError: The checkpoint does not fit the config or differs from it (`check_agreement`), or the config has no
            training set.
    """
    return run_of(read_config(config, cfg_options), checkpoint, device, force)


def run_of(cfg: Config, checkpoint: str | Path, device: str | None = None, force: bool = False) -> Run:
    """Reads a run as :func:`read_run` does, of a config that is read already."""
    content = read_checkpoint(checkpoint)
    if cfg.get('train_dataloader') is None or cfg.get('model') is None:
        raise ValueError(
            f'{cfg.filename} has no {"model" if cfg.get("model") is None else "train_dataloader"}: there is no '
            'training run to look into'
        )
    settings = cfg.model.copy()
    if 'pretrained' in settings:
        settings['pretrained'] = None
    if cfg.get('data_preprocessor') is not None:
        settings.setdefault('data_preprocessor', cfg.data_preprocessor)
    with DefaultScope.overwrite_default_scope(cfg.get('default_scope') or 'mmpretrain'):
        model = MODELS.build(settings)
        load_whole(model, content, checkpoint)
        check_agreement(cfg, content, checkpoint, 'train', force)
        dataset = DATASETS.build(cfg.train_dataloader.dataset)
    dataset.full_init()
    check_dataset_classes(dataset, trained_classes(content), 'train_dataloader.dataset')
    model.to(device or get_device()).eval()
    return Run(cfg, model, dataset, content.get('sample_bank'), checkpoint)


def load_whole(model: nn.Module, checkpoint: Mapping[str, Any], source: str | Path = 'the checkpoint') -> None:
    """Loads every tensor of a checkpoint of training, and leaves none of the model's as it was.

    Raises:
        ValueError: They do not fit the model.
    """
    state = {key.removeprefix('module.'): value for key, value in evaluated_state(checkpoint).items()}
    wanted = model.state_dict()
    missing = [key for key in wanted if key not in state]
    if (
        missing
        and all(key.startswith('supervision.') for key in missing)
        and not any(key.startswith('supervision.') for key in state)
    ):
        raise ValueError(
            f'{source} has no tensor of the supervision, as an exported checkpoint or one of the baseline '
            'has none: give the checkpoint that training with this config wrote'
        )
    check_fits(state, wanted, source)
    model.load_state_dict(state)
