"""Supervision: everything that only training needs, run in one order for all methods."""

import inspect
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from torch import Tensor, nn

from mmfer.models.supervision.named import Named
from mmfer.models.supervision.step import batch_rows, detached, full_precision, interpolate, progress
from mmfer.models.supervision.taps import Taps
from mmfer.models.supervision.wiring import Call, build_part
from mmfer.structures import REFINABLE, SHARED, VOCABULARY, FaceBatch, SampleBank, Trace

KINDS = ('branches', 'refiners', 'losses')


class Supervision(nn.Module):
    """Runs the taps, branches, refiners and losses of one or several methods around a classifier.

    The config is a dict of methods, each with up to four dicts: ``taps`` (name to module path), ``branches``,
    ``refiners`` and ``losses`` (name to part). All taps come first, then all branches, refiners and losses, in the
    order written; `None` takes a method or a part out. What a part reads is its ``forward``'s parameter names, renamed
    by an optional ``inputs``; `mmfer.structures.VOCABULARY` lists what every step knows.

    A part is an `nn.Module` that may have:

    - ``publishes``: names of what a branch or refiner returns, a dict; ``shares``: those that are no rows of the batch
    - ``setup(model)``: called once at build, where it copies or inspects the network
    - ``initialize(model, pretrained)``: called when the network's weights are initialised
    - ``bank_columns()``: what it remembers per sample, name to :class:`~mmfer.structures.Column`
    - ``begin(...)``: called before the network runs, wired like ``forward``, for what needs the inputs only: its
      working memory is gone again before the network's activations fill it; returns what it publishes, a dict
    - ``finish(...)``: called after the iteration, wired like ``forward``, for memories such as queues
    - ``loss_weight``: of a loss; in the config also ``[(epoch, weight), ...]``, linear in between
    - ``local_rows = True``: a loss that takes this rank's rows and averages over ranks itself

    Branches see this rank's rows; refiners and losses the global batch, in float32.

    Args:
        methods: The config.
        model: The classifier that is supervised. Not kept: it is the parent.

    Raises:
        ValueError: Naming the config's place, if a part or key is unknown or nothing publishes what a part needs.
    """

    def __init__(self, methods: Mapping[str, Mapping | None], model: nn.Module):
        super().__init__()
        self.bank = SampleBank()
        self.methods = Named()
        self._schedules: dict[str, list] = {}
        cfgs = {name: cfg for name, cfg in methods.items() if cfg is not None}

        self.taps = Taps(model, _merge_taps(cfgs))
        known = {**VOCABULARY, **{name: f'output of {path}' for name, path in self.taps.paths.items()}}
        early = {name: meaning for name, meaning in VOCABULARY.items() if name not in ('embedding', 'logits')}
        for name in self.taps.paths:
            if name in VOCABULARY:
                raise ValueError(f'the tap "{name}" has the name of something every step knows; choose another')
        self._calls: dict[str, list[tuple[str, nn.Module, Call]]] = {kind: [] for kind in KINDS}
        self._begin: list[tuple[nn.Module, Call]] = []
        finishers: list[tuple[str, nn.Module, Mapping]] = []
        for name, cfg in cfgs.items():
            self.methods[name] = Named({kind: Named() for kind in KINDS})
            unknown = set(cfg) - {'taps', *KINDS}
            if unknown:
                raise ValueError(
                    f'supervision.{name} takes taps, branches, refiners and losses, not "{sorted(unknown)[0]}"'
                )
        for kind in KINDS:
            for method, cfg in cfgs.items():
                for name, part_cfg in (cfg.get(kind) or {}).items():
                    if part_cfg is None:
                        continue
                    where = f'supervision.{method}.{kind}.{name}'
                    part, inputs = self._build(part_cfg, where)
                    self.methods[method][kind][name] = part
                    if hasattr(part, 'setup'):
                        part.setup(model, self)
                    if hasattr(part, 'bank_columns'):
                        self.bank.declare(part.bank_columns(), where)
                    if hasattr(part, 'begin'):
                        self._begin.append((part, Call(part.begin, where, early, _own(inputs, part.begin))))
                    self._calls[kind].append((where, part, Call(part.forward, where, known, inputs)))
                    for published in getattr(part, 'publishes', ()):
                        if published in known and not (kind == 'refiners' and published in REFINABLE):
                            raise ValueError(f'{where} publishes "{published}", which something else does already')
                        known[published] = f'from {where}'
                    if hasattr(part, 'finish'):
                        finishers.append((where, part, inputs))
        self._pending: list[tuple[Callable, dict]] = []
        self._finish = [
            Call(part.finish, where, known, _own(inputs, part.finish)) for where, part, inputs in finishers
        ]

    def _build(self, cfg: Mapping, where: str) -> tuple[nn.Module, Mapping]:
        cfg = dict(cfg)
        inputs = cfg.pop('inputs', {})
        weight = cfg.get('loss_weight')
        if isinstance(weight, list | tuple):
            self._schedules[where] = list(weight)
            cfg['loss_weight'] = weight[0][1]
        return build_part(cfg, where), inputs

    @property
    def needs_landmarks(self) -> str | None:
        """The first part that reads landmarks, or None."""
        for calls in self._calls.values():
            for where, _, call in calls:
                if {'landmarks', 'landmark_valid'} & set(call.names.values()):
                    return where
        return None

    def initialize(self, model: nn.Module, pretrained: bool) -> None:
        """Lets parts initialise themselves from the network, when its own weights are."""
        for _, part, _ in self._parts():
            if hasattr(part, 'initialize'):
                part.initialize(model, pretrained)

    def forward(self, model: nn.Module, inputs: Tensor, batch: FaceBatch) -> dict[str, Tensor]:
        """One supervised training step: the network once, then all parts.

        Args:
            model: The classifier.
            inputs: Images [N, 3, H, W].
            batch: What came with them.

        Returns:
            Losses, as ``<method>.<name>_loss``, and diagnostics.
        """
        trace = Trace(
            {'inputs': inputs, **batch_rows(batch)}, {'bank': self.bank, 'model': model, **progress()}
        )
        for part, begin in self._begin:
            trace.publish(begin(trace.local), whole=False, shared=getattr(part, 'shares', ()))
        with self.taps.record(model) as tapped:
            features = model.extract_feat(inputs)
            embedding = model.head.pre_logits(features)
            logits = model.head(features)
        trace.publish({'embedding': embedding, 'logits': logits, **tapped}, whole=False)
        for _, branch, call in self._calls['branches']:
            trace.publish(call(trace.local), whole=False, shared=getattr(branch, 'shares', ()))

        losses: dict[str, Tensor] = {}
        with full_precision(inputs.device.type):
            for _, refiner, call in self._calls['refiners']:
                trace.publish(call(trace.whole), whole=True, shared=getattr(refiner, 'shares', ()))
            for where, loss, call in self._calls['losses']:
                if where in self._schedules:
                    loss.loss_weight = interpolate(self._schedules[where], trace.whole('epoch'))
                value = call(trace.local if getattr(loss, 'local_rows', False) else trace.whole)
                method, _, name = where.removeprefix('supervision.').split('.')
                losses[f'{method}.{name}_loss'] = value
            self._pending = [(finish.function, detached(finish.arguments(trace.whole))) for finish in self._finish]
        return losses

    def commit(self) -> None:
        """Writes what the step has to remember, once its backward pass needs the old memories no more."""
        for finish, arguments in self._pending:
            finish(**arguments)
        self._pending = []
        self.bank.commit()

    def _parts(self) -> Iterator[tuple[str, nn.Module, Call]]:
        for kind in KINDS:
            yield from self._calls[kind]


def _merge_taps(cfgs: Mapping[str, Mapping[str, Any]]) -> dict[str, str]:
    paths: dict[str, str] = {}
    for method, cfg in cfgs.items():
        for name, path in (cfg.get('taps') or {}).items():
            if path is None:
                continue
            if paths.setdefault(name, path) != path:
                raise ValueError(f'supervision.{method}.taps.{name} is {path}, but another method taps {paths[name]}')
    assert not SHARED & set(paths)
    return paths


def _own(inputs: Mapping[str, str], function: Callable) -> dict[str, str]:
    """The renames that concern one of a part's functions."""
    parameters = inspect.signature(function).parameters
    return {parameter: name for parameter, name in inputs.items() if parameter in parameters}
