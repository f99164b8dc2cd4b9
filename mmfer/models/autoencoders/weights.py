"""Reads the weights of a trained autoencoder."""

import logging
from pathlib import Path

from mmengine.logging import print_log
from torch import nn

from mmfer.structures.newest_checkpoint import newest_checkpoint
from mmfer.structures.tensor_file import UnreadableError, read_tensor_file


def load_autoencoder(autoencoder: nn.Module, source: str | Path) -> Path:
    """Loads a checkpoint of stage A into an autoencoder.

    Args:
        autoencoder: Changed in place.
        source: A checkpoint, or the work folder of the training, whose newest one is meant.

    Returns:
        The file that was read.

    Raises:
        FileNotFoundError: There is none; the sentence says how to make it.
        ValueError: It cannot be read, or belongs to another autoencoder.
    """
    path = _newest(Path(source))
    if not path.is_file():
        name = next((part for part in Path(source).parts if part.startswith('autoencoder_')), 'autoencoder_rafdb')
        raise FileNotFoundError(
            f'{source} is missing: SNA changes faces with an autoencoder that is trained first, without labels; make '
            f'it with python tools/train.py configs/sna/{name}.py, or name the checkpoint you have with --cfg-options '
            'model.supervision.sna.branches.neighbours.checkpoint=FILE'
        )
    try:
        content = read_tensor_file(path)
        state = {key.removeprefix('module.'): value for key, value in content['state_dict'].items()}
    except (UnreadableError, KeyError, TypeError, AttributeError):
        raise ValueError(
            f'{path} cannot be read as a checkpoint of an autoencoder: train it anew, or copy it again'
        ) from None
    wanted = autoencoder.state_dict()
    if 'latent_std' not in state:
        raise ValueError(f'{path} holds no autoencoder: name what configs/sna/autoencoder_*.py has trained')
    problems = [f'{key} is missing' for key in wanted if key not in state]
    problems += [f'{key} is left over' for key in state if key not in wanted]
    problems += [
        f'{key} is {tuple(state[key].shape)} there and {tuple(value.shape)} here'
        for key, value in wanted.items()
        if key in state and state[key].shape != value.shape
    ]
    if problems:
        raise ValueError(
            f'{path} holds another autoencoder than the config describes ({problems[0]}): give '
            'model.supervision.sna.branches.neighbours.autoencoder the size, channels and depth it was trained with'
        )
    autoencoder.load_state_dict(state)
    print_log(f'autoencoder: {path}, after {int(state["steps"])} steps', logger='current')
    return path


def _newest(source: Path) -> Path:
    """The file itself, or the newest of a work folder that reads whole."""
    if not source.is_dir():
        return source
    found = newest_checkpoint(source)
    for sentence in found.damaged:
        print_log(sentence, logger='current', level=logging.WARNING)
    return found.newest or source
