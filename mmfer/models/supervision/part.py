"""What a supervision asks of its parts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from inspect import signature
from typing import Any, Protocol

from torch import nn

from mmfer.models.supervision.taps import Taps
from mmfer.structures import Column


class Part(nn.Module):
    """A branch, refiner or loss: reads named values of a step, and publishes others or returns a term.

    A part implements ``forward``. Its parameters' names say what it reads: the names that every step knows
    (:data:`mmfer.structures.VOCABULARY`), taps, and what earlier parts publish; a parameter with a default may be
    missing, and ``inputs=dict(parameter='name')`` in the config renames. A branch or refiner returns a dict of what it
    publishes, a loss a scalar. Branches see this rank's rows; refiners and losses the global batch, in float32.

    Everything below may stay as it is. A loss has usually a `loss_weight`, for which the config may also give a
    schedule ``[(epoch, weight), ...]``, linear in between.
    """

    publishes: tuple[str, ...] = ()
    """Names of what a branch or refiner returns."""
    shares: tuple[str, ...] = ()
    """Those of them that are no rows of the batch, and equal on all ranks, such as a queue."""
    as_given: tuple[str, ...] = ()
    """Parameters of a branch's ``forward`` that take the output of a tapped module itself, a
    :class:`~mmfer.models.probing.feature_maps.Feature`, in place of its map [N, C, H, W]."""
    local_rows: bool = False
    """Whether a loss takes this rank's rows, and averages over ranks itself; for large tensors, such as heatmaps."""
    inputs: Mapping[str, str] = {}
    """The config's renames, parameter to name; set before :meth:`setup`."""

    def setup(self, model: nn.Module, supervision: Surroundings) -> None:
        """Called once when the model is built: sizes layers, copies or inspects the network and earlier parts.

        Args:
            model: The classifier.
            supervision: Says who publishes a name and how wide it is.
        """

    def check(self, model: nn.Module, wrapper: nn.Module | None = None) -> None:
        """Refuses, with a ValueError, a network that cannot work.

        Called when the model is built, and again before the first step, when batch norm may have become SyncBatchNorm.

        Args:
            model: The classifier.
            wrapper: What wraps it by then, such as DistributedDataParallel.
        """

    def initialize(self, model: nn.Module, pretrained: bool) -> None:
        """Called when the network's weights have been initialised, to start from them.

        Args:
            model: The classifier.
            pretrained: Whether it was given weights that are trained.
        """

    def check_run(self, faces: int, max_epochs: int) -> None:
        """Refuses, or warns of, what cannot work or never begins within a run; called before it.

        Args:
            faces: In a batch of all processes.
            max_epochs: Of the run.
        """

    def whole_batch(self, all_have_landmarks: bool) -> str:
        """What it makes of a batch as a whole, as a phrase with a verb; '' where every face counts by itself.

        Gradients of several batches that are accumulated are then not those of one large batch, and refused.

        Args:
            all_have_landmarks: Whether every face of the training set has valid ones.
        """
        return ''

    def name_classes(self, classes: Sequence[str]) -> None:
        """Called before the run with the names of the training set's classes, in order."""

    def uncompiled(self, model: nn.Module) -> Iterable[nn.Module]:
        """Modules that `--compile` leaves as they are, of the network or its own; what they consist of may be compiled.

        Such are those that it hangs hooks on, that it differentiates twice, or that it does not call as modules.
        """
        return ()

    def bank_columns(self) -> Mapping[str, Column]:
        """What it remembers of each sample, by the name of the column."""
        return {}

    def width_of(self, name: str) -> int:
        """How many channels or features one of the values that it publishes has, for parts that read it.

        Raises:
            ValueError: It does not say.
        """
        raise ValueError(
            f'{type(self).__name__} does not say how wide its "{name}" is: let it implement width_of(name)'
        )

    def around(self) -> AbstractContextManager[Any]:
        """In what the network is run."""
        return nullcontext()

    def begin(self, *args: Any, **kwargs: Any) -> Mapping[str, Any]:
        """Called before the network runs, for what needs the inputs only; returns what it publishes of it.

        Its own parameters name what it reads, as those of ``forward``. Its working memory is gone again before the
        network's activations fill it.
        """
        return {}

    def finish(self, *args: Any, **kwargs: Any) -> None:
        """Called after the backward pass, for a memory such as a queue; its own parameters name what it reads."""


class Surroundings(Protocol):
    """What a part can ask of the supervision while it is set up."""

    taps: Taps

    def publisher(self, name: str) -> Part | None:
        """The part, among those before it, that publishes a name."""
        ...

    def width(self, model: nn.Module, name: str) -> int:
        """How many channels or features a named value has."""
        ...


PROTOCOL = tuple(name for name in vars(Part) if not name.startswith('_') and name != 'inputs')
"""What a plain `nn.Module` of that name would be asked in vain."""
WIRED = ('begin', 'finish')
"""Those whose parameters are their own affair."""


def check_is_part(module: nn.Module, kind: str, where: str) -> None:
    """Methods of a part take what they are called with; a plain `nn.Module` is welcome as a loss that has none of them.

    Args:
        module: What the config has built.
        kind: 'branches', 'refiners' or 'losses'.
        where: Its place in the config.

    Raises:
        ValueError: A method takes something else, a name stands in place of a tuple, a loss publishes, or the module
            would not be asked for what it has, or is no loss.
    """
    name, cure = type(module).__name__, 'let it inherit mmfer.models.supervision.Part'
    if isinstance(module, Part):
        for method in PROTOCOL:
            _check_signature(module, method, where)
        for names in ('publishes', 'shares', 'as_given'):
            if isinstance(getattr(module, names), str):
                raise ValueError(f'{where}: {name}.{names} must be a tuple of names, got a text: add a comma')
        if kind == 'losses' and module.publishes:
            raise ValueError(f'{where}: {name} publishes, which branches and refiners do; a loss returns one number')
        return
    if kind != 'losses':
        raise ValueError(f'{where}: {name} is no Part, as branches and refiners are: {cure}')
    own = {*dir(module)} - {*dir(nn.Module)}  # what its __init__ has set, too
    for attribute in PROTOCOL:
        if attribute in own:
            raise ValueError(f'{where}: {name} has "{attribute}", for which only a Part is asked: {cure}')


def overrides(module: Part, method: str) -> bool:
    """Whether a part has written a method of its own, so that a step need not call those that do nothing."""
    return getattr(getattr(module, method), '__func__', None) is not getattr(Part, method)


def _check_signature(module: Part, method: str, where: str) -> None:
    own, asked = getattr(module, method), getattr(Part, method)
    if method in WIRED or not callable(asked):
        return
    names = list(signature(asked).parameters)[1:]
    try:
        signature(own).bind(**dict.fromkeys(names))
    except TypeError:
        written = f'{type(module).__name__}.{method}{signature(own)}'
        raise ValueError(f'{where}: {written} must take ({", ".join(names)}), as that of Part does') from None
