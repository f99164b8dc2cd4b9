"""Writes the deployed network of a checkpoint into a file of its own."""

from __future__ import annotations

import hashlib
import io
from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import torch

import mmfer
from mmfer.apis.checkpoints.checkpoint_file import read_checkpoint
from mmfer.apis.deployment import BUFFERS, DEPLOYED, deployed_state
from mmfer.engine.hooks.training_faces import TRAINING_FACES
from mmfer.structures.tensor_file import write_sealed
from mmfer.structures.whole_files import written_whole


@dataclass(frozen=True)
class ExportReport:
    """What `export_deployed` wrote.

    Args:
        path: The file.
        parameters: Numbers that training learned, without the buffers of normalisation layers.
        sha256: Of the file.
        averaged: Whether these are averaged (EMA) weights.
        dropped: Tensors left out, by what they belonged to.
    """

    path: Path
    parameters: int
    sha256: str
    averaged: bool
    dropped: Mapping[str, int] = field(default_factory=dict)


def export_deployed(
    source: str | Path, target: str | Path, averaged: bool | None = None, allow: Collection[str] = ()
) -> ExportReport:
    """Writes only the deployed state; it loads strictly into a stock mmpretrain `ImageClassifier`.

    The config, the classes and what the training faces looked like stay in the file, so that nothing else is needed to
    test it or to predict with it; so does its seal, with which it is compared when it is read.

    Args:
        source: A checkpoint of training.
        target: The file to write; its folder is made.
        averaged: As in `deployed_state`.
        allow: As in `deployed_state`.
    """
    checkpoint = read_checkpoint(source)
    if Path(target).resolve() == Path(source).resolve():
        raise ValueError(f'{target} is the checkpoint itself: give the export another name')
    state = {key: value.clone() for key, value in deployed_state(checkpoint, averaged, allow).items()}
    meta = checkpoint.get('meta') or {}
    kept = {key: meta[key] for key in ('cfg', 'dataset_meta', TRAINING_FACES, 'epoch', 'seed') if key in meta}
    target, content = Path(target), io.BytesIO()
    torch.save(dict(state_dict=state, meta=dict(**kept, mmfer_version=mmfer.__version__)), content)
    with written_whole(target, 'wb', on_disk=True) as stream:
        write_sealed(stream, content.getbuffer())
    return ExportReport(
        path=target,
        parameters=sum(
            value.numel()
            for key, value in state.items()
            # Whole numbers are counts and tables, such as where in its table Swin finds a position.
            if value.is_floating_point() and key.split('.')[-1] not in BUFFERS
        ),
        sha256=hashlib.sha256(target.read_bytes()).hexdigest(),
        averaged='ema_state_dict' in checkpoint and averaged is not False,
        dropped=Counter(
            _owner(key.removeprefix('module.'))
            for key in checkpoint['state_dict']
            if key.removeprefix('module.') not in state
        ),
    )


def _owner(key: str) -> str:
    """What a tensor that is left out belongs to: a child of the classifier, or what of a deployed one is not."""
    return '.'.join(key.split('.')[: 2 if key.split('.')[0] in DEPLOYED else 1])
