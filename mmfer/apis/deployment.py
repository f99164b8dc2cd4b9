"""The deployed network: what is left of a checkpoint when everything that only training needs is gone."""

from __future__ import annotations

import hashlib
import logging
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch
from mmengine.config import Config
from mmengine.logging import print_log
from mmengine.registry import MODELS, DefaultScope
from torch import Tensor, nn

import mmfer
from mmfer.apis.errors import nearest
from mmfer.apis.stored_config import find_part, other_package, stored_config
from mmfer.engine.hooks.training_faces import TRAINING_FACES

DEPLOYED = ('backbone', 'neck', 'head')
"""The children of mmpretrain's `ImageClassifier`; nothing else is deployed.

Children of theirs that only training needs, such as the importance of SCN's head, are named by the class that has
them, in `train_only`.
"""

BUFFERS = ('running_mean', 'running_var', 'num_batches_tracked', 'generic')  # the last is ARM's


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


def read_checkpoint(path: str | Path) -> dict[str, Any]:
    """Reads a checkpoint without running code from it.

    Raises:
        FileNotFoundError: There is no such file; the nearest one is named.
        ValueError: It is no checkpoint.
    """
    path = Path(path)
    if not path.is_file():
        folder = path if path.is_dir() else path.parent
        here = [str(file) for file in sorted(folder.glob('*.pth'))]
        hint = nearest(str(path), here) or (f'; {folder} has {", ".join(map(str, here[:3]))}' if here else '')
        raise FileNotFoundError(f'there is no checkpoint {path}{hint}')
    try:
        checkpoint = torch.load(path, map_location='cpu', weights_only=True)
    except (UnpicklingError, RuntimeError, EOFError, OSError, UnicodeDecodeError, KeyError):
        raise ValueError(
            f'{path} cannot be read as a checkpoint of plain values: it is damaged, or no checkpoint of '
            'mmfer; train anew or copy it again'
        ) from None
    if not isinstance(checkpoint, dict):
        raise ValueError(f'{path} holds a {type(checkpoint).__name__}, no checkpoint')
    return checkpoint if 'state_dict' in checkpoint else dict(state_dict=checkpoint)


def deployed_state(
    checkpoint: Mapping[str, Any], averaged: bool | None = None, allow: Collection[str] = ()
) -> dict[str, Tensor]:
    """The tensors of `backbone`, `neck` and `head`, as far as they are not for training only.

    MMEngine's EMAHook leaves the averaged weights, which validation used, in `state_dict` and files the others under
    `ema_state_dict`.

    Args:
        checkpoint: What `read_checkpoint` returns.
        averaged: True insists on averaged weights, False on those that were not. Defaults to None: those that
            validation used.
        allow: Packages that may be asked what only training needs, besides mmfer and OpenMMLab's.

    Raises:
        ValueError: There are no such weights.
    """
    state, other = evaluated_state(checkpoint), checkpoint.get('ema_state_dict')
    if averaged and other is None:
        raise ValueError('the checkpoint has no averaged (EMA) weights: its run had no EMAHook; export without --ema')
    if averaged is False and other is not None:
        state = {key.removeprefix('module.'): value for key, value in other.items() if key.startswith('module.')}
    state = {key.removeprefix('module.'): value for key, value in state.items()}
    train_only = {f'{name}.{child}' for name in DEPLOYED for child in _train_only(_built_of(checkpoint, name, allow))}
    state = {key: value for key, value in state.items() if _is_deployed(key, train_only)}
    if not state:
        raise ValueError('the checkpoint has no tensor of a backbone, neck or head: it is none of a classifier')
    return state


def evaluated_state(checkpoint: Mapping[str, Any]) -> dict[str, Tensor]:
    """All tensors as validation had them when the checkpoint was written.

    MMEngine's EMAHook swaps averaged buffers in as well, while validation used those of the network itself, unless they
    are averaged, too (`update_buffers`). The two differ where several processes share a run.
    """
    state, other = dict(checkpoint['state_dict']), checkpoint.get('ema_state_dict') or {}
    stored = stored_config(checkpoint) if other else {}
    hooks = [*(stored.get('custom_hooks') or []), *(stored.get('default_hooks') or {}).values()]
    if not any(isinstance(hook, dict) and hook.get('update_buffers') for hook in hooks):
        state |= {
            key: other[f'module.{key}'] for key in state if key.split('.')[-1] in BUFFERS and f'module.{key}' in other
        }
    return state


def build_deployed(cfg: Config) -> nn.Module:
    """Builds a config's classifier without its supervision."""
    model = cfg.model.copy()
    for key in ('supervision', 'pretrained'):
        if key in model:
            model[key] = None
    if cfg.get('data_preprocessor') is not None:
        model.setdefault('data_preprocessor', cfg.data_preprocessor)
    with DefaultScope.overwrite_default_scope(cfg.get('default_scope', 'mmpretrain')):
        return MODELS.build(model)


def load_deployed(model: nn.Module, checkpoint: Mapping[str, Any], source: str | Path = 'the checkpoint') -> None:
    """Loads the deployed tensors of a checkpoint, every one of them and no other.

    Raises:
        ValueError: They do not fit the model.
    """
    train_only = {f'{name}.{child}' for name in DEPLOYED for child in _train_only(getattr(model, name, None))}
    state = {key: value for key, value in deployed_state(checkpoint).items() if _is_deployed(key, train_only)}
    wanted = {key: value for key, value in model.state_dict().items() if _is_deployed(key, train_only)}
    check_fits(state, wanted, source)
    model.load_state_dict(state, strict=False)


def check_fits(state: Mapping[str, Tensor], wanted: Mapping[str, Tensor], source: str | Path) -> None:
    """The tensors of a checkpoint are those that the config's model wants, each of its shape.

    Raises:
        ValueError: They are not; the first two that differ are named.
    """
    problems = [f'{key} is missing' for key in wanted if key not in state]
    problems += [f'{key} is left over' for key in state if key not in wanted]
    problems += [
        f'{key} is {tuple(state[key].shape)} there and {tuple(wanted[key].shape)} in the config'
        for key in wanted
        if key in state and state[key].shape != wanted[key].shape
    ]
    if problems:
        more = f' and {len(problems) - 2} more' if len(problems) > 2 else ''
        raise ValueError(
            f'{source} does not fit the config ({"; ".join(problems[:2])}{more}): give the config that '
            'it was trained with'
        )


def class_names(checkpoint: Mapping[str, Any], num_classes: int) -> list[str]:
    """The names that the training data gave the classes, or numbers where they had none.

    Raises:
        ValueError: There are names, but not as many as classes.
    """
    names = ((checkpoint.get('meta') or {}).get('dataset_meta') or {}).get('classes')
    if not isinstance(names, list | tuple) or not names:
        return [f'class{i}' for i in range(num_classes)]
    if len(names) != num_classes:
        raise ValueError(
            f'the checkpoint names {len(names)} classes ({", ".join(map(str, names[:3]))}, ...), its network scores '
            f'{num_classes}: which scores are whose is not known; write it anew with the training that made it'
        )
    return list(map(str, names))


def export_deployed(
    source: str | Path, target: str | Path, averaged: bool | None = None, allow: Collection[str] = ()
) -> ExportReport:
    """Writes only the deployed state; it loads strictly into a stock mmpretrain `ImageClassifier`.

    The config, the classes and what the training faces looked like stay in the file, so that nothing else is needed to
    test it or to predict with it.

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
    target = Path(target)
    target.parent.mkdir(parents=True, exist_ok=True)
    torch.save(dict(state_dict=state, meta=dict(**kept, mmfer_version=mmfer.__version__)), target)
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


def _is_deployed(key: str, train_only: Collection[str]) -> bool:
    """Whether a tensor belongs to the deployed network."""
    return key.split('.')[0] in DEPLOYED and '.'.join(key.split('.')[:2]) not in train_only


def _owner(key: str) -> str:
    """What a tensor that is left out belongs to: a child of the classifier, or what of a deployed one is not."""
    return '.'.join(key.split('.')[: 2 if key.split('.')[0] in DEPLOYED else 1])


def _train_only(part: Any) -> Sequence[str]:
    """Names of a deployed part's children (or of those of its class) that only training needs."""
    return getattr(part, 'train_only', ())


def _built_of(checkpoint: Mapping[str, Any], name: str, allow: Collection[str]) -> type | None:
    """The class of a classifier's child as the checkpoint's config says, if it is a package's that may be asked."""
    model = stored_config(checkpoint).get('model')
    settings = model.get(name) if isinstance(model, dict) else None
    kind = settings.get('type') if isinstance(settings, dict) else None
    if package := other_package(kind, allow):
        print_log(
            f'the {name} is {kind}, and {package} was not asked which of its tensors only training needs: all of them '
            f'are kept; --allow {package} imports it and asks',
            logger='current',
            level=logging.WARNING,
        )
    return find_part(MODELS, kind, allow=allow)
