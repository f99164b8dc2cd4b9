"""What a network runs behind one of its stages, as modules that can be copied: found in a trial run."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import torch
from torch import nn

from mmfer.models.probing.calls import Called, DoesNotRunOnce, calls_of, last_of_each_size, main_calls, tensors_in
from mmfer.models.probing.feature_maps import Feature, Layout, Size
from mmfer.models.probing.replay import ALONE, Arguments, Calls, NotFromCalls, arguments_of, cloned, leading_to
from mmfer.models.probing.trial import backbone_size, first_line, learn_layouts, picture, recorded, refusal, undisturbed

OTHER_SIZE = (96, 96)
"""Of a second trial: what a copy is told of the size of its input must not be that of the first."""


class NoTrunk(ValueError):
    """What runs behind a stage cannot be copied; says why."""


@dataclass(frozen=True)
class Trunk:
    """Copies of what a backbone runs behind one of its stages.

    Args:
        modules: Of each later stage, called with what the one before gives.
        paths: Of the modules that each was copied from, in the backbone.
        widths: Channels of the map of the shared stage, then of each later one.
        layouts: How these hold their maps.
        overwrites: Which of them write into what they are given.
    """

    modules: list[nn.Module]
    paths: list[tuple[str, ...]]
    widths: list[int]
    layouts: list[Layout]
    overwrites: list[bool]


def find_trunk(model: nn.Module, shared: str, own: Sequence[str] | None = None) -> Trunk:
    """Copies what a classifier's backbone runs behind its stage `shared`, and makes sure that it gives the same.

    Args:
        model: The classifier.
        shared: Path of the stage in the backbone.
        own: Paths of the later stages whose outputs count. Defaults to None: the last one of each size of map.

    Raises:
        NoTrunk: There is more between them than calls of modules, or one gives no map.
    """
    backbone, size = model.backbone, backbone_size(model)
    stages = _find_stages(backbone, shared, own, size)
    memo: dict[int, Any] = {}
    modules: list[nn.Module] = []
    for paths, arguments in stages:
        # Whatever of the backbone is frozen, the copies are trained.
        copies = [copy.deepcopy(backbone.get_submodule(path), memo).requires_grad_() for path in paths]
        modules.append(copies[0] if arguments == ALONE else Calls(copies, arguments))
    ends = [shared, *(paths[-1] for paths, _ in stages)]
    layouts = learn_layouts(backbone, ends, backbone, [size])
    outputs, overwrites = _replay(backbone, ends, modules, size)
    if refusal(backbone, OTHER_SIZE) is None:  # some take images of one size only
        _replay(backbone, ends, modules, OTHER_SIZE)
    return Trunk(
        modules=modules,
        paths=[paths for paths, _ in stages],
        widths=[Feature(outputs[path], size, layouts[path]).as_map().size(1) for path in ends],
        layouts=[layouts[path] for path in ends],
        overwrites=overwrites,
    )


def workable_stages(model: nn.Module) -> list[str]:
    """Stages of a classifier's backbone behind which something can be copied: of each size of map the last."""
    backbone, size = model.backbone, backbone_size(model)
    work = []
    for call in main_calls(backbone, size):
        with suppress(NoTrunk):
            stages = _find_stages(backbone, call.path, None, size)
            copied = [backbone.get_submodule(path) for paths, _ in stages for path in paths]
            if any(list(module.parameters()) for module in copied):
                work.append(call)
    return list(last_of_each_size(work, size))


def _find_stages(
    backbone: nn.Module, shared: str, own: Sequence[str] | None, size: Size
) -> list[tuple[tuple[str, ...], list[Arguments]]]:
    """The modules that lead from each stage to the next, and their arguments."""
    try:
        start, *found = calls_of(backbone, size, behind=shared)
        if start.map_size(size) is None:
            raise NoTrunk(_no_map(start))
        ends = _last_of_each_size(start, found, size) if own is None else [_find(found, path) for path in own]
        stages, begin = [], 0
        for end in ends:
            if end.map_size(size) is None:
                raise NoTrunk(_no_map(end))
            number = _index(found, end) + 1
            if number <= begin:
                raise NoTrunk(f'{end.path} does not run behind {start.path}')
            needed = leading_to(start, found[begin:number])
            stages.append((tuple(call.path for call in needed), arguments_of(start, needed)))
            start, begin = end, number
    except (DoesNotRunOnce, NotFromCalls) as error:
        raise NoTrunk(str(error)) from None
    return stages


@torch.no_grad()
def _replay(
    backbone: nn.Module, paths: Sequence[str], modules: Sequence[nn.Module], size: Size
) -> tuple[dict[str, Any], list[bool]]:
    """Compares what copies give with what the backbone gave.

    Returns:
        What it gave by path, and which copies write into what they are given.
    """
    shared, *ends = paths
    # Of the shared stage what the network has made of it by the end, which is what a tap holds.
    with undisturbed(backbone), recorded(backbone, [shared]) as start, recorded(backbone, ends, cloned) as outputs:
        backbone(picture(backbone, size))
    x, overwrites = start[shared], []
    for path, module in zip(ends, modules, strict=True):
        given = list(tensors_in(x))
        versions = [tensor._version for tensor in given]
        try:
            with undisturbed(module):
                x = module(x)
        except Exception as error:
            raise NoTrunk(
                f'{path} cannot be run again ({first_line(error)}): it depends on more than its input'
            ) from None
        overwrites.append(versions != [tensor._version for tensor in given])
        for mine, theirs in zip(tensors_in(x), tensors_in(outputs[path]), strict=True):
            if mine.shape != theirs.shape or not torch.allclose(mine, theirs, rtol=1e-3, atol=1e-4, equal_nan=True):
                raise NoTrunk(f'{path} gives something else when it is run again: it depends on more than its input')
    return start | outputs, overwrites


def _last_of_each_size(start: Called, found: Sequence[Called], size: Size) -> list[Called]:
    """On the way from a call to the last map that follows, the last call of each size of map but that of the start."""
    sizes = {id(call): call.map_size(size) for call in (start, *found)}
    for number in reversed(range(len(found))):
        cells = sizes[id(found[number])]
        if cells is None:
            continue
        try:
            way = leading_to(start, found[: number + 1])
            arguments_of(start, way)
        except NotFromCalls:
            if cells == (1, 1):  # pooled before it
                continue
            raise
        maps = [call for call in way if sizes[id(call)] is not None]
        ends = [a for a, b in pairwise(maps) if sizes[id(start)] != sizes[id(a)] != sizes[id(b)]]
        return [*ends, maps[-1]]
    return []


def _find(calls: Sequence[Called], path: str) -> Called:
    for call in calls:
        if call.path == path:
            return call
    raise NoTrunk(f'{path} is none of the modules that follow ({", ".join(call.path for call in calls)})')


def _index(calls: Sequence[Called], call: Called) -> int:
    return next(number for number, other in enumerate(calls) if other is call)


def _no_map(call: Called) -> str:
    shapes = ', '.join(f'[N, {", ".join(map(str, tensor.shape[1:]))}]' for tensor in tensors_in(call.output))
    return f'{call.path} gives {shapes or "no tensor"}, no map'
