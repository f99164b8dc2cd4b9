"""What a run is about to do, in a dozen lines."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Mapping
from typing import Any

import torch
from mmengine.device import get_device
from mmengine.dist import get_world_size
from mmengine.model import is_model_wrapper
from mmengine.runner import EpochBasedTrainLoop, Runner

from mmfer.commands import as_typed
from mmfer.engine.dataset_parts import face_datasets
from mmfer.machine import bfloat16_flag

_WIDTH = 120
_INDENT = ' ' * 11
_TRAINING_ONLY = 'supervision.'


def run_summary(runner: Runner) -> str:
    """What is trained, on what, with which methods, for how long, and where it goes.

    Args:
        runner: Its data sets are read already.
    """
    parts = dict(
        network=[_network(runner)],
        faces=[*_faces(runner)],
        methods=[*_methods(runner.cfg.model.get('supervision') or {})],
        schedule=[_schedule(runner)],
        device=[*_device(runner)],
        output=[as_typed(runner.work_dir)],
        log=[as_typed(runner.logger.log_file)],
    )
    lines = []
    for title, texts in parts.items():
        for place, text in enumerate(texts):
            begin = f'{"" if place else title:{len(_INDENT)}}'
            rows = textwrap.TextWrapper(_WIDTH, begin, _INDENT + '  ', break_long_words=False, break_on_hyphens=False)
            lines += rows.wrap(text)
    return '\n'.join(lines)


def _network(runner: Runner) -> str:
    cfg, model = runner.cfg.model, runner.model.module if is_model_wrapper(runner.model) else runner.model
    parts = [cfg.get(part) for part in ('backbone', 'neck', 'head')]
    names = [
        _name(part) + (f'-{part["depth"]}' if 'depth' in part else '') for part in parts if isinstance(part, Mapping)
    ]
    sizes = {name: parameter.numel() for name, parameter in model.named_parameters()}
    extra = sum(size for name, size in sizes.items() if name.startswith(_TRAINING_ONLY))
    text = f'{_name(cfg)}' + (f' of {", ".join(names)}' if names else '')
    text += f': {sum(sizes.values()) - extra:,} parameters' + (f' (and {extra:,} in training)' if extra else '')
    begin = runner._load_from or cfg.get('pretrained')
    if runner._resume:
        return f'{text}; goes on from {runner._load_from}'
    return text + (f'; begins with {begin}' if begin else '')


def _faces(runner: Runner) -> Iterator[str]:
    for dataset in face_datasets(runner.train_dataloader.dataset):
        yield dataset.summary()
    if runner.val_loop is not None:
        for dataset in face_datasets(runner.val_dataloader.dataset):
            yield f'evaluated on {dataset.summary()}'


def _methods(supervision: Mapping[str, Mapping[str, Any] | None]) -> Iterator[str]:
    for name, method in supervision.items():
        given = method or {}
        texts = []
        for kind in ('branches', 'refiners', 'losses'):
            parts = {part: cfg for part, cfg in (given.get(kind) or {}).items() if cfg is not None}
            texts += [_kind(kind, parts)] if parts else []
        if texts:
            yield f'{name}: {"; ".join(texts)}'


def _kind(kind: str, parts: Mapping[str, Mapping[str, Any]]) -> str:
    weights = {name: part.get('loss_weight') for name, part in parts.items()}
    shown = [name if weights[name] in (None, 1) else f'{name} (weight {weights[name]})' for name in parts]
    return f'{kind} {", ".join(shown)}'


def _schedule(runner: Runner) -> str:
    loader, processes = runner.train_dataloader, get_world_size()
    batch = '' if loader.batch_size is None else f' of {loader.batch_size * processes} faces'
    if isinstance(runner.train_loop, EpochBasedTrainLoop):
        length = f'{_count(runner.max_epochs, "epoch")} of {_count(len(loader), "batch", "es")}{batch}'
    else:
        length = f'{runner.max_iters} iterations{batch}'
    optimizer = (runner.cfg.get('optim_wrapper') or {}).get('optimizer') or {}
    text = f'{length}, {_name(optimizer)}' + (f' with lr {optimizer["lr"]}' if 'lr' in optimizer else '')
    return f'{text}, seed {runner.seed}'


def _device(runner: Runner) -> Iterator[str]:
    device, processes = get_device(), get_world_size()
    what = torch.cuda.get_device_name() if device == 'cuda' else device
    if device == 'cpu':
        what += f' with {_count(torch.get_num_threads(), "thread")}'
    wrapper = runner.cfg.get('optim_wrapper') or {}
    mixed = 'Amp' in _name(wrapper)
    precision = 'float32'
    if mixed:
        precision = f'mixed precision ({wrapper.get("dtype") or ("bfloat16" if device == "cpu" else "float16")})'
    yield f'{_count(processes, "process", "es")} on {what}, {precision}'
    flag = bfloat16_flag() if device == 'cpu' and not mixed else None
    if flag:
        yield f'with --amp it would multiply in bfloat16, which this CPU does faster ({flag}); results differ a little'


def _count(number: int, what: str, more: str = 's') -> str:
    return f'{number:,} {what}{"" if number == 1 else more}'


def _name(part: Mapping[str, Any]) -> str:
    kind = part.get('type', '')
    return kind.rpartition('.')[2] if isinstance(kind, str) else kind.__name__
