"""Wiring by parameter name: a part's signature says what it reads from the Trace."""

import inspect
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from mmengine.registry import MODELS as ROOT
from torch import nn

from mmfer.models.supervision.part import Part
from mmfer.registry import MODELS
from mmfer.structures import Trace
from mmfer.structures.naming import closest, did_you_mean

_SCORES = ('pred', 'cls_score', 'input')
"""What others call the class scores, such as mmpretrain's losses."""

_VARIADIC = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)


class Call:
    """A function of a part together with the Trace names its parameters read.

    Args:
        function: Its parameters name what it needs; those with a default may be missing.
        where: Place in the config, for messages.
        known: Names that earlier parts publish, with their meaning.
        inputs: Parameter to Trace name, where they differ.
        as_given: Parameters that take the output of a tapped module itself.

    Raises:
        ValueError: If a parameter reads a name that nothing publishes, or `inputs` renames no parameter.
    """

    def __init__(
        self,
        function: Callable[..., Any],
        where: str,
        known: Mapping[str, str],
        inputs: Mapping[str, str],
        as_given: Collection[str] = (),
    ):
        parameters = {
            name: parameter
            for name, parameter in inspect.signature(function).parameters.items()
            if parameter.kind not in _VARIADIC
        }
        self.function, self.where, self.as_given = function, where, as_given
        self.names: dict[str, str] = {}
        self.optional = {name for name, p in parameters.items() if p.default is not inspect.Parameter.empty}
        for parameter, source in inputs.items():
            if parameter not in parameters:
                raise ValueError(
                    f'{where}: inputs renames "{parameter}", but forward() has no such parameter'
                    f'{_nearest(parameter, parameters)} (it has {", ".join(parameters)})'
                )
            if source not in known:
                raise ValueError(_unknown(where, source, known))
        for parameter, details in parameters.items():
            source = inputs.get(parameter, parameter)
            if source in known:
                self.names[parameter] = source
            elif details.default is inspect.Parameter.empty:
                cure = f'; set inputs=dict({parameter}="logits")' if parameter in _SCORES else ''
                raise ValueError(_unknown(where, source, known, cure))

    def __call__(self, read: Callable[[str], Any], given: Mapping[str, Any] | None = None) -> Any:
        """Calls the function with what `read` gives for each name.

        Args:
            read: Gives the value of a name.
            given: Outputs of tapped modules themselves, for the parameters in `as_given`.
        """
        with noted(self.where, type(getattr(self.function, '__self__', self.function))):
            return self.function(**self.arguments(read, given))

    def arguments(self, read: Callable[[str], Any], given: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """What the function would be called with."""
        values = {}
        for parameter, source in self.names.items():
            if given and parameter in self.as_given and source in given:
                values[parameter] = given[source]
                continue
            try:
                values[parameter] = read(source)
            except KeyError:  # such as landmarks, which not every data set has
                if parameter not in self.optional:
                    raise
        return values

    @property
    def required(self) -> set[str]:
        """Names that it cannot do without."""
        return {source for parameter, source in self.names.items() if parameter not in self.optional}


def build_part(cfg: Mapping[str, Any], where: str) -> nn.Module:
    """Builds a registered part; a misspelt type or argument gets its nearest name.

    Raises:
        ValueError: If the type is not registered or does not take one of the arguments.
    """
    if 'type' not in cfg:
        raise ValueError(f'{where} needs a "type", for example type="mmfer.CrossEntropyLoss"; got {dict(cfg)}')
    kind = cfg['type']
    cls = MODELS.get(kind) if isinstance(kind, str) else kind
    if cls is None:
        theirs = ROOT.get(f'mmpretrain.{kind}') if kind.isidentifier() else None
        near = f'; did you mean "mmpretrain.{kind}"?' if theirs else _nearest_part(kind)
        raise ValueError(f'{where}: no part is registered as "{kind}"{near}')
    arguments = [name for name in inspect.signature(cls).parameters if name != 'self']
    variadic = any(p.kind in _VARIADIC for p in inspect.signature(cls).parameters.values())
    for key in cfg:
        if key != 'type' and key not in arguments and not variadic:
            raise ValueError(
                f'{where}: {kind} takes no "{key}"{_nearest(key, arguments)} (it takes {", ".join(arguments)})'
            )
    with noted(where, cls):
        # By class: mmengine would look a name without a package up in the default scope again.
        return MODELS.build({**cfg, 'type': cls})


@contextmanager
def noted(where: str, kind: Any) -> Iterator[None]:
    """Notes on an error which part of the config it comes from, and whose that is: parts come from many packages."""
    try:
        yield
    except Exception as error:
        note = f'in {where}, {kind.__module__}.{kind.__qualname__}'
        error.__notes__ = [*getattr(error, '__notes__', ()), note]  # Python 3.10 has no add_note
        raise


def publish(trace: Trace, part: Part, call: Call, *, whole: bool, complete: bool = True) -> None:
    """Runs a branch or refiner, and adds what it returns to the step.

    Args:
        trace: The step.
        part: Whose function it is.
        call: Its `forward`, or its `begin`.
        whole: Whether it sees the global batch (refiners) or this rank's rows (branches).
        complete: Whether everything that the part declares must be there afterwards.

    Raises:
        ValueError: It returns no dict, or not what its `publishes` declares.
    """
    values = call(trace.whole) if whole else call(trace.local, trace.given)
    names, kind = part.publishes, f'{type(part).__module__}.{type(part).__qualname__}'
    declared = f'publishes ({", ".join(names) or "nothing"})'
    if not isinstance(values, Mapping):
        raise ValueError(f'{call.where}: {kind} returned a {type(values).__name__}, no dict of what it {declared}')
    for name in values:
        if name not in names:
            raise ValueError(f'{call.where}: {kind} returned "{name}", which is not among what it {declared}')
    trace.publish(values, whole=whole, shared=part.shares)
    for name in names if complete else ():
        if name not in trace:
            raise ValueError(f'{call.where}: {kind} did not return "{name}", which is among what it {declared}')


def own_renames(inputs: Mapping[str, str], function: Callable[..., Any]) -> dict[str, str]:
    """The renames that concern one of a part's functions."""
    parameters = inspect.signature(function).parameters
    return {parameter: name for parameter, name in inputs.items() if parameter in parameters}


def _registered() -> list[str]:
    """What can be named: ours, and what other packages have registered that this config has named so far."""
    MODELS.import_from_location()
    packages = {scope: child for scope, child in ROOT.children.items() if scope != 'mmpretrain'}
    return [f'{scope}.{name}' for scope, child in packages.items() for name in child.module_dict]


def _nearest_part(kind: str) -> str:
    """The registered part that is meant; of a name without a package the one that is called nearly so."""
    registered = _registered()
    if '.' in kind:
        return _nearest(kind, registered)
    near = closest(kind, (name.rpartition('.')[2] for name in registered))
    whole = next((name for name in registered if name.rpartition('.')[2] == near), None)
    return f'; did you mean "{whole}"?' if whole else f'; a part of another package is named with it, "package.{kind}"'


def _nearest(name: str, candidates: Iterable[str]) -> str:
    return did_you_mean(name, candidates, '"', alike=0.4)


def _unknown(where: str, name: str, known: Mapping[str, str], cure: str = '') -> str:
    hint, vocabulary = cure or _nearest(name, known), ', '.join(known)
    return f'{where} needs "{name}", which nothing publishes{hint}; known here are: {vocabulary}'
