"""The deployed network of a checkpoint, for faces in memory."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from mmengine.config import Config
from mmengine.dataset import Compose
from mmengine.device import get_device
from mmengine.registry import DefaultScope
from torch import Tensor

from mmfer.apis.checkpoints.agreement import check_agreement
from mmfer.apis.checkpoints.checkpoint_config import checkpoint_config
from mmfer.apis.checkpoints.checkpoint_file import class_names, read_checkpoint
from mmfer.apis.checkpoints.seen_in_training import training_faces
from mmfer.apis.deployment import build_deployed, load_deployed
from mmfer.apis.face_arrays import as_face, as_faces


class FacePredictor:
    """The deployed network of a checkpoint with its preprocessing, for faces in memory.

    Args:
        cfg: The config that the checkpoint was trained with. None: the one that it carries (`checkpoint_config`).
        checkpoint: A checkpoint of training, or an exported one.
        device: Defaults to None: the accelerator where there is one.
        batch_size: Faces that go through the network together. Defaults to 64.
        force: Whether to warn instead of raising where the config differs from the checkpoint's.

    Raises:
        FileNotFoundError: There is no checkpoint.
        ValueError: It does not fit the config or differs from it (`check_agreement`), or the config has no pipeline for
            testing.
    """

    def __init__(
        self,
        cfg: Config | None,
        checkpoint: str | Path,
        device: str | None = None,
        batch_size: int = 64,
        force: bool = False,
    ):
        content = read_checkpoint(checkpoint)
        if cfg is None:
            cfg = checkpoint_config(content, checkpoint, data=False)
        self.device, self.batch_size = device or str(get_device()), batch_size
        self.model = build_deployed(cfg)
        load_deployed(self.model, content, checkpoint)
        check_agreement(cfg, content, checkpoint, 'test' if cfg.get('test_dataloader') else 'val', force)
        self.model.to(self.device).eval()
        self.training_faces = training_faces(content)
        self.classes = class_names(content, int(self.model.head.num_classes))
        self.pipeline = _pipeline(cfg)

    def prepare(self, image: np.ndarray) -> Tensor:
        """Runs the test pipeline on a face as `as_face` takes it; the part of the work for a reading thread."""
        image = as_face(image)
        shape = image.shape[:2]
        return self.pipeline(dict(img=image, img_shape=shape, ori_shape=shape, sample_idx=0))['inputs']

    @torch.inference_mode()
    def predict(self, faces: Sequence[Tensor]) -> np.ndarray:
        """Probabilities [N, K] of prepared faces."""
        scores = []
        for start in range(0, len(faces), self.batch_size):
            batch = dict(inputs=list(faces[start : start + self.batch_size]), data_samples=None)
            inputs = self.model.data_preprocessor(batch, training=False)['inputs']
            samples = self.model(inputs, mode='predict')
            scores.append(torch.stack([sample.pred_score for sample in samples]).float().cpu().numpy())
        return np.concatenate(scores) if scores else np.empty((0, len(self.classes)), dtype=np.float32)

    def __call__(self, images: Sequence[np.ndarray]) -> np.ndarray:
        """Probabilities [N, K] of aligned faces, BGR uint8 [H, W, 3] of any sizes; what else is taken, says `as_face`.

        Raises:
            ValueError: It is something else, such as a float array, or one face instead of a list.
        """
        return self.predict([self.prepare(image) for image in as_faces(images)])


def _pipeline(cfg: Config) -> Compose:
    loader = cfg.get('test_dataloader') or cfg.get('val_dataloader')
    dataset = loader.dataset if loader else {}
    while 'pipeline' not in dataset and 'dataset' in dataset:
        dataset = dataset['dataset']
    if 'pipeline' not in dataset:
        raise ValueError(f'{cfg.filename} has no test_dataloader.dataset.pipeline, which says how faces are prepared')
    # Pictures are read here; what follows takes them from memory.
    steps = [step for step in dataset['pipeline'] if step['type'] != 'LoadImageFromFile']
    with DefaultScope.overwrite_default_scope(cfg.get('default_scope', 'mmpretrain')):
        return Compose(steps)
