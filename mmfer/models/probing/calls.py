"""The calls of modules in a trial run of a network."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from mmfer.models.probing.feature_maps import Feature, Size
from mmfer.models.probing.trial import picture, undisturbed


@dataclass(eq=False)
class Called:
    """A module's call.

    Args:
        path: Of the module.
        args: What it was called with.
        kwargs: Likewise, by name.
        output: What it gave.
    """

    path: str
    args: tuple[Any, ...] = ()
    kwargs: Mapping[str, Any] = field(default_factory=dict)
    output: Any = None

    def map_size(self, size: Size) -> Size | None:
        """(H, W) of the map that it gave for pictures of a size; None where it gave none."""
        if next(tensors_in(self.output), None) is None:
            return None
        feature = Feature(self.output, size)
        return None if feature.layout is None else tuple(feature.as_map().shape[2:])


class DoesNotRunOnce(ValueError):
    """A module that was to be looked at does not run, or more than once."""


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
        DoesNotRunOnce: The module does not run, or more than once.
    """
    found: list[Called] = []
    stack: list[Called | None] = []  # None: a call that contains those looked for, or is within one
    started = behind is None

    def enter(path: str) -> Callable[..., Any]:
        def hook(_module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
            inside = path != within and path.startswith(f'{within}.' if within else '')
            wanted = path == behind or (started and inside)
            stack.append(Called(path, args, kwargs) if wanted and not any(stack) else None)

        return hook

    def leave(_module: nn.Module, _args: Any, _kwargs: Any, output: Any) -> None:
        nonlocal started
        call = stack.pop()
        if call is not None:
            call.output = output
            found.append(call)
            started = True

    handles = []
    for path, module in network.named_modules():
        if path:
            handles.append(module.register_forward_pre_hook(enter(path), with_kwargs=True))
            handles.append(module.register_forward_hook(leave, with_kwargs=True))
    try:
        with undisturbed(network), torch.no_grad():
            (run or network)(picture(network, size))
    finally:
        for handle in handles:
            handle.remove()
    times = sum(call.path == behind for call in found)
    if behind is not None and times != 1:
        raise DoesNotRunOnce(f'{behind} runs {times} times')
    return found


def main_calls(
    network: nn.Module, size: Size, run: Callable[[Tensor], Any] | None = None, within: str = ''
) -> list[Called]:
    """What a network calls, for users to choose from.

    In place of what wraps a whole network, or of a row of stages, that is what it calls in turn: a module that is the
    only one, or an `nn.Sequential` with maps of more than two sizes; where all maps are of one size, any of these.
    """
    calls = calls_of(network, size, within=within, run=run)
    one_size = len({call.map_size(size) for call in calls} - {None}) == 1
    found: list[Called] = []
    for call in calls:
        row = isinstance(network.get_submodule(call.path), nn.Sequential)
        inner = calls_of(network, size, within=call.path, run=run) if row or len(calls) == 1 else []
        sizes = {part.map_size(size) for part in inner} - {None}
        if inner and (len(calls) == 1 or one_size or len(sizes) > 2):
            found += main_calls(network, size, run, within=call.path)
        else:
            found.append(call)
    return found


def last_of_each_size(calls: Sequence[Called], size: Size) -> dict[str, Size]:
    """Of some calls the last of each size of map, and that size; of a single size, the one a quarter of the way."""
    groups: dict[Size, list[str]] = {}
    for call in calls:
        cells = call.map_size(size)
        if cells is not None:
            groups.setdefault(cells, []).append(call.path)
    if len(groups) == 1:
        ((cells, paths),) = groups.items()
        return {paths[len(paths) // 4]: cells}
    return {paths[-1]: cells for cells, paths in groups.items()}


def tensors_in(value: Any) -> Iterator[Tensor]:
    """The tensors in an argument or an output."""
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, Mapping):
        yield from tensors_in(list(value.values()))
    elif isinstance(value, Sequence) and not isinstance(value, str):
        for part in value:
            yield from tensors_in(part)
