"""Calls of a trial run, made again by copies of the modules."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

from mmfer.models.probing.calls import Called, tensors_in

Arguments = tuple[tuple[Any, ...], dict[str, Any]]
"""Positional, and by name; a :class:`Value` stands for what an earlier step gave."""


@dataclass(frozen=True)
class Value:
    """Where an argument comes from: the output of a step (-1: what goes into the first), and a place in it."""

    step: int
    place: tuple[int, ...] = ()


ALONE: list[Arguments] = [((Value(-1),), {})]
"""Of a single module that is called with what comes in."""


class Calls(nn.Module):
    """Several modules in the order in which a network calls them, or one that takes more than one argument.

    Args:
        modules: Of each step.
        arguments: Of each step.
    """

    def __init__(self, modules: Sequence[nn.Module], arguments: Sequence[Arguments]):
        super().__init__()
        self.steps, self.arguments = nn.ModuleList(modules), list(arguments)

    def forward(self, x: Any) -> Any:
        """What the last module gives, for what the network had before the first."""
        outputs = [x]
        for step, given in zip(self.steps, self.arguments, strict=True):
            args, kwargs = _replaced(given, outputs)
            outputs.append(step(*args, **kwargs))
        return outputs[-1]


class NotFromCalls(ValueError):
    """A module is given something that no call before it gave."""


def leading_to(origin: Called, between: Sequence[Called]) -> list[Called]:
    """The last of some calls, and those before it whose output it needs.

    Raises:
        NotFromCalls: What `origin` gave has no part in it.
    """
    needed = [between[-1]]
    for call in reversed(between[:-1]):
        if any(_stems_from(later, call) for later in needed):
            needed.insert(0, call)
    if not any(_stems_from(call, origin) for call in needed):
        raise NotFromCalls(f'{needed[0].path} is not given what {origin.path} gives, but something made of it')
    return needed


def arguments_of(origin: Called, calls: Sequence[Called]) -> list[Arguments]:
    """The arguments of successive calls, with what `origin` and earlier ones gave replaced by where it comes from.

    Raises:
        NotFromCalls: One is given a tensor from elsewhere.
    """
    known = [origin, *calls]
    return [
        (_bound(call.args, known[: number + 1], call.path), _bound(dict(call.kwargs), known[: number + 1], call.path))
        for number, call in enumerate(calls)
    ]


def cloned(output: Any) -> Any:
    """An output whose tensors may be written into."""
    return _mapped(output, lambda value: value.clone() if isinstance(value, Tensor) else None)


def _stems_from(call: Called, earlier: Called) -> bool:
    given = {id(tensor) for tensor in tensors_in((call.args, call.kwargs))}
    return any(id(tensor) in given for tensor in tensors_in(earlier.output))


def _bound(value: Any, known: Sequence[Called], path: str) -> Any:
    def place(part: Any) -> Value | None:
        for step in reversed(range(len(known))):
            where = _place(part, known[step].output)
            if where is not None:
                return Value(step - 1, where)
        if isinstance(part, Tensor):
            raise NotFromCalls(f'{path} is given a tensor that no module behind {known[0].path} gives')
        return None

    return _mapped(value, place)


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


def _replaced(value: Any, outputs: Sequence[Any]) -> Any:
    def pick(part: Any) -> Any:
        if not isinstance(part, Value):
            return None
        output = outputs[part.step + 1]
        for number in part.place:
            output = output[number]
        return output

    return _mapped(value, pick)


def _mapped(value: Any, change: Callable[[Any], Any]) -> Any:
    """A value with its parts, however deep, changed where the function gives something for them."""
    changed = change(value)
    if changed is not None:
        return changed
    if isinstance(value, Mapping):
        return {key: _mapped(part, change) for key, part in value.items()}
    if isinstance(value, tuple | list):
        return type(value)(_mapped(part, change) for part in value)
    return value
