"""Predicts the expressions of pictures with the deployed network."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import cv2
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
from mmfer.apis.data.image_folder import read_or_reason
from mmfer.apis.deployment import build_deployed, load_deployed
from mmfer.apis.face_arrays import as_face, as_faces
from mmfer.datasets.reading.files import IMAGE_EXTENSIONS


@dataclass(frozen=True)
class Prediction:
    """What the network says of one face.

    Args:
        path: The picture.
        face: Its number in the picture, from 0 at the left.
        box: Left, top, right, bottom in the picture; None for a picture that is an aligned face.
        picture: The face, BGR, at most 224 px.
        score: Probabilities [K].
    """

    path: Path
    face: int
    box: tuple[int, int, int, int] | None
    picture: np.ndarray
    score: np.ndarray


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


def find_pictures(source: str | Path) -> list[Path]:
    """The pictures of a folder and its subfolders in order of name, or the one picture named.

    Raises:
        FileNotFoundError: There is nothing of that name.
        ValueError: The folder has no picture.
    """
    source = Path(source)
    if source.is_file():
        return [source]
    if not source.is_dir():
        raise FileNotFoundError(f'there is no picture or folder {source}')
    found = sorted(path for path in source.rglob('*') if path.suffix.lower() in IMAGE_EXTENSIONS)
    if not found:
        raise ValueError(f'{source} has no picture (looked for {", ".join(IMAGE_EXTENSIONS)})')
    return found


def predict_pictures(
    predictor: FacePredictor,
    paths: Iterable[Path],
    aligner: Callable | None = None,
    skipped: list[tuple[Path, str]] | None = None,
    aligned: bool = False,
    larger: list[tuple[Path, str]] | None = None,
) -> Iterator[Prediction]:
    """Predicts pictures in batches; reading and decoding run beside the network.

    Args:
        predictor: The network.
        paths: Pictures.
        aligner: Finds and cuts out faces. Defaults to None: every picture is taken as one aligned face, unless its size
            or shape tells that it is none.
        skipped: Collects pictures without a prediction, and why.
        aligned: Whether every picture is known to be one aligned face, whatever its size.
        larger: Collects pictures that were taken as a face although larger than those of training, and their size.
    """
    skipped, larger = [] if skipped is None else skipped, [] if larger is None else larger
    seen = None if aligned or aligner is not None else predictor.training_faces

    def load(path: Path) -> tuple[list[tuple], str]:
        image, fault = read_or_reason(path)
        if image is None:
            return [], f'cannot be read as a picture: {fault}'
        height, width = image.shape[:2]
        if seen is not None and seen.is_unlike(width, height):
            return [], (
                f'it is {width} x {height} pixels and the faces of training were {seen}, so it seems to be a photo and '
                'no aligned face: find its faces with --align, or, if it is one aligned face, say --aligned'
            )
        if seen is not None and seen.is_larger(width, height):
            larger.append((path, f'{width} x {height}'))
        faces = [(None, image)] if aligner is None else [(face.box, face.crop) for face in aligner(image)]
        found = [(i, box, _thumbnail(face), predictor.prepare(face)) for i, (box, face) in enumerate(faces)]
        return found, 'no face found'

    paths = iter(paths)
    with ThreadPoolExecutor(4 if aligner is None else 1) as pool:  # the detector has the processor to itself
        while chunk := list(islice(paths, predictor.batch_size)):
            faces = []
            for path, (found, reason) in zip(chunk, pool.map(load, chunk), strict=True):
                if not found:
                    skipped.append((path, reason))
                faces += [(path, *face) for face in found]
            scores = predictor.predict([prepared for *_, prepared in faces])
            for (path, i, box, picture, _), score in zip(faces, scores, strict=True):
                yield Prediction(path, i, box, picture, score)


def check_any(faces: int, pictures: Sequence[Path], source: str | Path, skipped: Sequence[tuple[Path, str]]) -> None:
    """Something was predicted.

    Raises:
        ValueError: All pictures were skipped; the first reason is named.
    """
    if not faces:
        raise ValueError(
            f'none of the {len(pictures)} pictures of {source} could be predicted; the first: {skipped[0][1]}'
        )


def _thumbnail(image: np.ndarray, side: int = 224) -> np.ndarray:
    scale = side / max(image.shape[:2])
    return image if scale >= 1 else cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)


class PredictionTable:
    """Writes predictions as csv while they come.

    Args:
        path: The file; its folder is made.
        classes: K names.
    """

    def __init__(self, path: Path, classes: Sequence[str]):
        path.parent.mkdir(parents=True, exist_ok=True)
        self.classes, self._stream = list(classes), path.open('w', newline='', encoding='utf-8')
        self._writer = csv.writer(self._stream)
        self._writer.writerow(['image', 'face', 'left', 'top', 'right', 'bottom', 'predicted', *self.classes])

    def add(self, prediction: Prediction) -> None:
        """Writes one row; the box is empty for a picture that is an aligned face."""
        box = prediction.box or ('', '', '', '')
        values = [f'{value:.6f}' for value in prediction.score]
        name = self.classes[prediction.score.argmax()]
        self._writer.writerow([prediction.path, prediction.face, *box, name, *values])

    def close(self) -> None:
        """Closes the file."""
        self._stream.close()
