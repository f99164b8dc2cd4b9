"""Supervision: everything that only training needs, run in one order for all methods."""

from collections.abc import Callable, Mapping
from contextlib import ExitStack
from typing import Any

from torch import Tensor, nn

from mmfer.models.probing.embedding import embedding_of, embedding_width
from mmfer.models.supervision.assembly import Assembly
from mmfer.models.supervision.methods_check import KINDS, check_methods, check_taps_are_read
from mmfer.models.supervision.named import Named
from mmfer.models.supervision.part import Part
from mmfer.models.supervision.step import StepLog, batch_rows, detached, full_precision, interpolate, progress
from mmfer.models.supervision.taps import Taps, merge_taps
from mmfer.models.supervision.wiring import publish
from mmfer.structures import FaceBatch, SampleBank, Trace


class Supervision(nn.Module):
    """Runs the taps, branches, refiners and losses of one or several methods around a classifier.

    The config is a dict of methods, each with up to four dicts: ``taps`` (name to module path), ``branches``,
    ``refiners`` and ``losses`` (name to part). All taps come first, then all branches, refiners and losses, in the
    order written; `None` takes a method or a part out. What a part is, and what it may have:
    :class:`~mmfer.models.supervision.Part`. A loss may also be any `nn.Module`.

    Args:
        methods: The config.
        model: The classifier that is supervised. Not kept: it is the parent.

    Raises:
        ValueError: Naming the config's place, if a part or key is unknown or nothing publishes what a part needs.
    """

    def __init__(self, methods: Mapping[str, Mapping[str, Any] | None], model: nn.Module):
        super().__init__()
        self.bank = SampleBank()
        self.methods = Named()
        self._pending: list[tuple[Callable[..., None], dict[str, Any]]] = []

        check_methods(methods)
        cfgs = {name: cfg for name, cfg in methods.items() if cfg is not None}
        for name in cfgs:
            if 'loss' in name:
                raise ValueError(
                    f'supervision.{name}: a method may not be called so, as MMEngine would minimise whatever it logs, '
                    'every number whose name contains "loss"; rename it'
                )
            self.methods[name] = Named({kind: Named() for kind in KINDS})
        self.taps = Taps(model, merge_taps(cfgs))
        for method, cfg in reversed(cfgs.items()):
            self.taps.places |= {name: f'model.supervision.{method}.taps.{name}' for name in cfg.get('taps') or ()}
        self.taps.learn(model)
        self._assembly = Assembly({name: f'output of {path}' for name, path in self.taps.paths.items()}, self.bank)
        for kind in KINDS:
            for method, cfg in cfgs.items():
                for name, part_cfg in (cfg.get(kind) or {}).items():
                    if part_cfg is not None:
                        self._add(part_cfg, model, method, kind, name)
        self._assembly.connect_ends()
        read = self._assembly.read
        for method, cfg in cfgs.items():
            check_taps_are_read(method, cfg.get('taps') or {}, read)
        self.check(model)

    def _add(self, cfg: Mapping[str, Any], model: nn.Module, method: str, kind: str, name: str) -> None:
        where = f'supervision.{method}.{kind}.{name}'
        part, inputs = self._assembly.build(cfg, kind, where)
        self.methods[method][kind][name] = part
        if isinstance(part, Part):
            part.setup(model, self)
        self._assembly.connect(part, inputs, kind, where)

    @property
    def parts(self) -> list[Part]:
        """All parts, in the order they run; plain losses are none."""
        return self._assembly.parts

    @property
    def schedules(self) -> dict[str, list[tuple[float, float]]]:
        """Weights over epochs, ``[(epoch, weight), ...]``, by the place of their loss in the config."""
        return self._assembly.schedules

    def publisher(self, name: str) -> Part | None:
        """The part that publishes a name, or None; while parts are set up, among those before."""
        return self._assembly.publishers.get(name)

    def width(self, model: nn.Module, name: str) -> int:
        """How many channels or features `embedding`, a tap, or what a part publishes has.

        Args:
            model: The classifier.
            name: What is asked about.

        Raises:
            ValueError: Nothing gives it, or what does has not said.
        """
        if name == 'embedding':
            return embedding_width(model)
        if name in self.taps.paths:
            return self.taps.width(model, name)
        part = self.publisher(name)
        if part is None:
            raise ValueError(f'nothing before it publishes "{name}", whose width a part asks for')
        return part.width_of(name)

    @property
    def read_by_losses(self) -> list[set[str]]:
        """The names that each loss reads."""
        return [set(call.names.values()) for _, _, call in self._assembly.calls['losses']]

    @property
    def needs_landmarks(self) -> str | None:
        """Where the first part that reads landmarks stands in the config, or None."""
        for calls in self._assembly.calls.values():
            for where, _, call in calls:
                if {'landmarks', 'landmark_valid'} & call.required:
                    return where
        return None

    def initialize(self, model: nn.Module, pretrained: bool) -> None:
        """Lets parts initialise themselves from the network, when its own weights are."""
        for part in self.parts:
            part.initialize(model, pretrained)

    def check(self, model: nn.Module, wrapper: nn.Module | None = None) -> None:
        """Lets parts refuse a network that they cannot work with."""
        for part in self.parts:
            part.check(model, wrapper=wrapper)

    def forward(self, model: nn.Module, inputs: Tensor, batch: FaceBatch) -> dict[str, Tensor]:
        """One supervised training step: the network once, then all parts.

        Args:
            model: The classifier.
            inputs: Images [N, 3, H, W].
            batch: What came with them.

        Returns:
            Losses, as ``<method>.<name>_loss``, and what parts have logged, as ``<method>.<name>``.
        """
        trace = Trace(
            {'inputs': inputs, **batch_rows(batch)},
            {'bank': self.bank, 'model': model, 'log': (log := StepLog()), **progress()},
        )
        calls = self._assembly.calls
        for where, part, begin in calls['begin']:
            log.enter(where)
            publish(trace, part, begin, whole=False, complete=False)
        with self.taps.record(model, inputs.shape[-2:]) as tapped, ExitStack() as contexts:
            for part in self._assembly.around:
                contexts.enter_context(part.around())
            features = model.extract_feat(inputs)
            embedding = embedding_of(model.head, features)
            logits = model.head(features)
        self.taps.require(tapped, model.training)
        trace.publish({'embedding': embedding, 'logits': logits, **tapped}, whole=False)
        trace.given.update(tapped.given)
        for where, branch, call in calls['branches']:
            log.enter(where)
            publish(trace, branch, call, whole=False)

        losses: dict[str, Tensor] = {}
        with full_precision(inputs.device.type):
            for where, refiner, call in calls['refiners']:
                log.enter(where)
                publish(trace, refiner, call, whole=True)
            for where, loss, call in calls['losses']:
                log.enter(where)
                if where in self.schedules:
                    loss.loss_weight = interpolate(self.schedules[where], trace.whole('epoch'))
                value = call(trace.local if where in self._assembly.local else trace.whole)
                if value.numel() != 1:  # MMEngine would take the mean without a word
                    raise ValueError(f'{where} gives {list(value.shape)}, but a loss is one number: take its mean')
                losses[f'{log.method}.{log.part}_loss'] = value
            self._pending = [
                (finish.function, detached(finish.arguments(trace.whole))) for _, _, finish in calls['finish']
            ]
        return {**losses, **log.figures}

    def commit(self) -> None:
        """Writes what the step has to remember, once its backward pass needs the old memories no more."""
        for finish, arguments in self._pending:
            finish(**arguments)
        self._pending = []
        self.bank.commit()
