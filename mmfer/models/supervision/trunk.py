"""What a network runs behind one of its stages, as modules that can be copied: found in a trial run."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from mmfer.models.feature_maps import Feature, Layout, Size
from mmfer.models.trial import backbone_size, learn_layouts, picture, recorded, refusal, undisturbed

OTHER_SIZE = (96, 96)
"""Of a second trial: what a copy is told of the size of its input must not be that of the first."""


@dataclass
class Called:
    """A module's call in a trial run."""

    path: str
    args: tuple = ()
    kwargs: Mapping[str, Any] = field(default_factory=dict)
    output: Any = None


@dataclass(frozen=True)
class Value:
    """Where an argument comes from: the output of a step (-1: what goes into the stage), and a place in it."""

    step: int
    place: tuple[int, ...] = ()


class Calls(nn.Module):
    """Several modules in the order in which a network calls them, or one with more than one argument.

    Args:
        modules: Of each step.
        arguments: Of each step, positional and by name; a :class:`Value` stands for what an earlier step gave.
    """

    def __init__(self, modules: Sequence[nn.Module], arguments: Sequence[tuple[tuple, dict]]):
        super().__init__()
        self.steps, self.arguments = nn.ModuleList(modules), list(arguments)

    def forward(self, x: Any) -> Any:
        """What the last module gives, for what the network had at the first."""
        outputs = [x]
        for step, (args, kwargs) in zip(self.steps, self.arguments, strict=True):
            args, kwargs = _replaced((args, kwargs), lambda value: _pick(outputs[value.step + 1], value.place))
            outputs.append(step(*args, **kwargs))
        return outputs[-1]


@dataclass(frozen=True)
class Stage:
    """What runs from one stage's output to the next one's.

    Args:
        paths: Of the modules that it calls, in the backbone.
        arguments: As in `Calls`.
        feature: Its output in the trial run.
    """

    paths: tuple[str, ...]
    arguments: tuple[tuple[tuple, dict], ...]
    feature: Feature

    def copied(self, backbone: nn.Module, memo: dict) -> nn.Module:
        """A copy of its modules; where that is one with one argument, the module itself."""
        modules = [copy.deepcopy(backbone.get_submodule(path), memo) for path in self.paths]
        return modules[0] if self.arguments == (((Value(-1),), {}),) else Calls(modules, self.arguments)


@dataclass(frozen=True)
class Trunk:
    """Copies of what a backbone runs behind one of its stages.

    Args:
        modules: Of each later stage, called with what the one before gives.
        paths: Of the modules that each was copied from, in the backbone.
        widths: Channels of the map of the shared stage, then of each later one.
        layouts: How these hold their maps.
        overwrites: Whether the first one writes into its input.
    """

    modules: list[nn.Module]
    paths: list[tuple[str, ...]]
    widths: list[int]
    layouts: list[Layout]
    overwrites: bool


class NoTrunk(ValueError):
    """What runs behind a stage cannot be copied; says why."""


def calls_of(
    network: nn.Module,
    size: Size,
    behind: str | None = None,
    within: str = '',
    run: Callable[[Tensor], Any] | None = None,
) -> list[Called]:
    """Calls of a trial run, the outermost only.

    Args:
        network: The network.
        size: (H, W) of the picture.
        behind: Path of a module: its call, and what follows. Defaults to None: all.
        within: Path of a module: only what it calls. Defaults to '': all.
        run: Runs the network. Defaults to None: the network itself.

    Raises:
        NoTrunk: The module does not run, or more than once.
    """
    found: list[Called] = []
    stack: list[Called | None] = []  # None: a call that contains those looked for, or is within one
    started = behind is None

    def enter(path: str) -> Callable:
        def hook(_module, args, kwargs):
            wanted = path == behind or (started and path.startswith(f'{within}.' if within else '') and path != within)
            stack.append(Called(path, args, kwargs) if wanted and not any(stack) else None)

        return hook

    def leave(path: str) -> Callable:
        def hook(_module, _args, _kwargs, output):
            nonlocal started
            call = stack.pop()
            if call is not None:
                call.output = output
                found.append(call)
                started = True

        return hook

    handles = []
    for path, module in network.named_modules():
        if path:
            handles.append(module.register_forward_pre_hook(enter(path), with_kwargs=True))
            handles.append(module.register_forward_hook(leave(path), with_kwargs=True))
    try:
        with undisturbed(network), torch.no_grad():
            (run or network)(picture(network, size))
    finally:
        for handle in handles:
            handle.remove()
    times = sum(call.path == behind for call in found)
    if behind is not None and times != 1:
        raise NoTrunk(f'{behind} runs {times} times')
    return found


def find_trunk(model: nn.Module, shared: str, own: Sequence[str] | None = None) -> Trunk:
    """Copies what a classifier's backbone runs behind its stage `shared`, and makes sure that it gives the same.

    Args:
        model: The classifier.
        shared: Path of the stage in the backbone.
        own: Paths of the later stages whose outputs count. Defaults to None: the last one of each size of map.

    Raises:
        NoTrunk: There is more between them than calls of modules, or one gives no map.
    """
    backbone = model.backbone
    size = backbone_size(model)
    stages = find_stages(backbone, shared, own, size)
    memo: dict = {}
    modules = [stage.copied(backbone, memo) for stage in stages]
    paths = [shared, *(stage.paths[-1] for stage in stages)]
    layouts = learn_layouts(backbone, paths, backbone, [size])
    outputs, overwrites = _replay(backbone, paths, modules, size)
    if refusal(backbone, OTHER_SIZE) is None:  # some take images of one size only
        _replay(backbone, paths, modules, OTHER_SIZE)
    maps = [Feature(outputs[path], size, layouts[path]).as_map() for path in paths]
    return Trunk(
        modules=modules,
        paths=[stage.paths for stage in stages],
        widths=[level.size(1) for level in maps],
        layouts=[layouts[path] for path in paths],
        overwrites=overwrites,
    )


@torch.no_grad()
def _replay(
    backbone: nn.Module, paths: Sequence[str], modules: Sequence[nn.Module], size: Size
) -> tuple[dict[str, Any], bool]:
    """Compares what copies give with what the backbone gave.

    Returns:
        What it gave by path, and whether the copies write into what they are given.
    """
    with undisturbed(backbone), recorded(backbone, paths) as outputs:
        backbone(picture(backbone, size))
    x = outputs[paths[0]]
    given = _tensors(x)
    versions = [tensor._version for tensor in given]
    for path, module in zip(paths[1:], modules, strict=True):
        with undisturbed(module):
            x = module(x)
        for mine, theirs in zip(_tensors(x), _tensors(outputs[path]), strict=True):
            if mine.shape != theirs.shape or not torch.allclose(mine, theirs, rtol=1e-3, atol=1e-4, equal_nan=True):
                raise NoTrunk(f'{path} gives something else again: it depends on more than its input')
    return outputs, versions != [tensor._version for tensor in given]


def cloned(output: Any) -> Any:
    """An output whose tensors may be written into."""
    if isinstance(output, Tensor):
        return output.clone()
    if isinstance(output, dict):
        return {key: cloned(part) for key, part in output.items()}
    return type(output)(cloned(part) for part in output) if isinstance(output, tuple | list) else output


def workable_stages(model: nn.Module) -> list[str]:
    """Stages of a classifier's backbone behind which a trunk can be copied, the last of each size of map.

    Where all maps are of one size, as in most transformers, the one a quarter of the way.
    """
    size, backbone = backbone_size(model), model.backbone
    groups: list[tuple[tuple[int, ...], list[str]]] = []
    for call in main_calls(backbone, size, backbone):
        with suppress(NoTrunk):
            cells = tuple(_map_of(call, size).as_map().shape[2:])
            if find_stages(backbone, call.path, None, size):
                if not groups or groups[-1][0] != cells:
                    groups.append((cells, []))
                groups[-1][1].append(call.path)
    if len(groups) == 1:
        return [groups[0][1][len(groups[0][1]) // 4]]
    return [paths[-1] for _, paths in groups]


def main_calls(network: nn.Module, size: Size, run: Callable[[Tensor], Any], within: str = '') -> list[Called]:
    """What a network calls, without what that calls in turn; a network that it wraps counts as itself."""
    calls = calls_of(network, size, within=within, run=run)
    while len(calls) == 1 and (inner := calls_of(network, size, within=calls[0].path, run=run)):
        calls = inner
    return calls


def find_stages(backbone: nn.Module, shared: str, own: Sequence[str] | None, size: Size) -> list[Stage]:
    """What a network runs behind its stage `shared`, by a trial run."""
    start, *found = calls_of(backbone, size, behind=shared)
    first = _map_of(start, size)
    ends = _last_of_each_size(start, found, first, size) if own is None else [_find(found, path) for path in own]
    stages, origin, begin = [], start, 0
    for end in ends:
        number = found.index(end) + 1
        if number <= begin:
            raise NoTrunk(f'{end.path} does not run behind {origin.path}')
        stages.append(_stage(origin, found[begin:number], _map_of(end, size)))
        origin, begin = end, number
    return stages


def _stage(origin: Called, between: Sequence[Called], feature: Feature) -> Stage:
    """What leads from one call to the last one of others."""
    needed = _leading_to(origin, between)
    calls = [origin, *needed]
    arguments = []
    for number, call in enumerate(needed):
        bound = _bound((call.args, dict(call.kwargs)), calls[: number + 1], call.path)
        arguments.append((bound[0], bound[1]))
    return Stage(tuple(call.path for call in needed), tuple(arguments), feature)


def _leading_to(origin: Called, between: Sequence[Called]) -> list[Called]:
    """The last of some calls, and those before it whose output it needs."""
    needed = [between[-1]]
    for call in reversed(between[:-1]):
        if any(_stems_from(later, call) for later in needed):
            needed.insert(0, call)
    if not any(_stems_from(call, origin) for call in needed):
        raise NoTrunk(f'{needed[0].path} is not given what {origin.path} gives: something is done to it between them')
    return needed


def _stems_from(call: Called, earlier: Called) -> bool:
    given = {id(value) for value in _tensors((call.args, call.kwargs))}
    return any(id(value) in given for value in _tensors(earlier.output))


def _bound(value: Any, calls: Sequence[Called], path: str) -> Any:
    """An argument with what earlier calls gave replaced by where it stands there."""
    for step in reversed(range(len(calls))):
        place = _place(value, calls[step].output)
        if place is not None:
            return Value(step - 1, place)
    if isinstance(value, Tensor):
        raise NoTrunk(f'{path} is given a tensor that no module behind {calls[0].path} gives')
    if isinstance(value, Mapping):
        return {key: _bound(part, calls, path) for key, part in value.items()}
    if isinstance(value, tuple | list):
        return type(value)(_bound(part, calls, path) for part in value)
    return value


def _place(value: Any, output: Any) -> tuple[int, ...] | None:
    """Where an object stands in an output; None where it does not, or is a number, which may be equal by chance."""
    if not isinstance(value, Tensor | tuple | list) or not len(value):
        return None
    if value is output:
        return ()
    if isinstance(output, tuple | list):
        for number, part in enumerate(output):
            inner = _place(value, part)
            if inner is not None:
                return number, *inner
    return None


def _pick(output: Any, place: tuple[int, ...]) -> Any:
    for number in place:
        output = output[number]
    return output


def _replaced(value: Any, replace: Callable[[Value], Any]) -> Any:
    if isinstance(value, Value):
        return replace(value)
    if isinstance(value, dict):
        return {key: _replaced(part, replace) for key, part in value.items()}
    if isinstance(value, tuple | list):
        return type(value)(_replaced(part, replace) for part in value)
    return value


def _tensors(value: Any) -> list[Tensor]:
    if isinstance(value, Tensor):
        return [value]
    parts = value.values() if isinstance(value, Mapping) else value if isinstance(value, tuple | list) else ()
    return [tensor for part in parts for tensor in _tensors(part)]


def _find(calls: Sequence[Called], path: str) -> Called:
    for call in calls:
        if call.path == path:
            return call
    raise NoTrunk(f'{path} is none of the modules that follow ({", ".join(call.path for call in calls)})')


def _map_of(call: Called, size: Size) -> Feature:
    feature = Feature(call.output, size) if _tensors(call.output) else None
    if feature is None or feature.layout is None:
        shape = 'no tensor' if feature is None else f'{list(feature.shape)[1:]} for a picture'
        raise NoTrunk(f'{call.path} gives {shape}, no map')
    return feature


def _last_of_each_size(start: Called, found: Sequence[Called], first: Feature, size: Size) -> list[Called]:
    """On the way from a call to the last map that follows from it, the last call of each size of map."""
    maps = []
    for call in found:
        try:
            maps.append((call, tuple(_map_of(call, size).as_map().shape[2:])))
        except NoTrunk:
            continue
    way: list[Called] = []
    for last, _ in reversed(maps):
        try:
            way = _leading_to(start, found[: found.index(last) + 1])
            _stage(start, found[: found.index(last) + 1], first)
            break
        except NoTrunk:
            way = []
    sizes = [(call, cells) for call, cells in maps if call in way]
    return [
        call for number, (call, cells) in enumerate(sizes) if number + 1 == len(sizes) or sizes[number + 1][1] != cells
    ]
