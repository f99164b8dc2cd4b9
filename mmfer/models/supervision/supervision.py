"""Supervision: everything that only training needs, run in one order for all methods."""

from collections.abc import Callable, Mapping
from contextlib import ExitStack
from inspect import signature

from torch import Tensor, nn

from mmfer.models.probing.embedding import embedding_of
from mmfer.models.supervision.methods_check import KINDS, check_methods, check_taps_are_read
from mmfer.models.supervision.named import Named
from mmfer.models.supervision.step import (
    StepLog,
    batch_rows,
    check_weight,
    checked_schedule,
    detached,
    full_precision,
    interpolate,
    progress,
)
from mmfer.models.supervision.taps import Taps, merge_taps
from mmfer.models.supervision.wiring import Call, build_part, own_renames, publish
from mmfer.structures import REFINABLE, VOCABULARY, FaceBatch, SampleBank, Trace

Wired = tuple[str, nn.Module, Call]
"""Place in the config, part, and its wired function."""


class Supervision(nn.Module):
    """Runs the taps, branches, refiners and losses of one or several methods around a classifier.

    The config is a dict of methods, each with up to four dicts: ``taps`` (name to module path), ``branches``,
    ``refiners`` and ``losses`` (name to part). All taps come first, then all branches, refiners and losses, in the
    order written; `None` takes a method or a part out. What a part reads is its ``forward``'s parameter names, renamed
    by an optional ``inputs``; `mmfer.structures.VOCABULARY` lists what every step knows.

    A part is an `nn.Module` that may have:

    - ``publishes``: names of what a branch or refiner returns, a dict; ``shares``: those that are no rows of the batch
    - ``as_given``: parameters of a branch that take the output of a tapped module itself, a
      :class:`~mmfer.models.probing.feature_maps.Feature`, in place of its map [N, C, H, W]
    - ``setup(model, supervision)``: called once at build, where it copies or inspects the network and earlier parts
    - ``check(model)``: called at build, and before the first step on the network as it will run (batch norm may have
      become SyncBatchNorm), to refuse what cannot work; `inputs` on the part holds the config's renames. If it takes
      ``wrapper``, it is given what wraps the network then, such as DistributedDataParallel
    - ``check_run(faces, max_epochs)``: called before the run with the number of faces in a batch of all processes and
      of epochs, to refuse or warn of what cannot work or never begins
    - ``name_classes(classes)``: called before the run with the names of the training set's classes
    - ``initialize(model, pretrained)``: called when the network's weights are initialised
    - ``bank_columns()``: what it remembers per sample, name to :class:`~mmfer.structures.Column`
    - ``around()``: a context manager in which the network runs
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
        self.schedules: dict[str, list] = {}
        self._refined: dict[str, str] = {}  # which refiner has last set target and weight
        self._calls: dict[str, list[Wired]] = {stage: [] for stage in ('begin', *KINDS, 'finish')}
        self._pending: list[tuple[Callable, dict]] = []

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
        known = {**VOCABULARY, **{name: f'output of {path}' for name, path in self.taps.paths.items()}}
        parts = []
        for kind in KINDS:
            for method, cfg in cfgs.items():
                for name, part_cfg in (cfg.get(kind) or {}).items():
                    if part_cfg is not None:
                        where = f'supervision.{method}.{kind}.{name}'
                        part, inputs = self._build(part_cfg, where)
                        self.methods[method][kind][name] = part
                        self._wire(part, kind, where, known, inputs, model)
                        parts.append((part, where, inputs))
        # Memories may keep whatever the step has found out, also what later parts publish.
        for part, where, inputs in parts:
            if hasattr(part, 'finish'):
                finish = Call(part.finish, where, known, own_renames(inputs, part.finish))
                self._calls['finish'].append((where, part, finish))
        read = {name for calls in self._calls.values() for _, _, call in calls for name in call.names.values()}
        for method, cfg in cfgs.items():
            check_taps_are_read(method, cfg.get('taps') or {}, read)
        self.check(model)

    def _wire(
        self, part: nn.Module, kind: str, where: str, known: dict[str, str], inputs: Mapping, model: nn.Module
    ) -> None:
        """Sets a part up and connects its calls; `known` grows by what it publishes."""
        part.inputs = dict(inputs)
        if hasattr(part, 'setup'):
            part.setup(model, self)
        if hasattr(part, 'bank_columns'):
            self.bank.declare(part.bank_columns(), where)
        if hasattr(part, 'begin'):
            early = {name: meaning for name, meaning in VOCABULARY.items() if name not in ('embedding', 'logits')}
            self._calls['begin'].append((where, part, Call(part.begin, where, early, own_renames(inputs, part.begin))))
        elsewhere = [getattr(part, name) for name in ('begin', 'finish') if hasattr(part, name)]
        taken = {parameter for function in elsewhere for parameter in own_renames(inputs, function)}
        mine = {**{k: v for k, v in inputs.items() if k not in taken}, **own_renames(inputs, part.forward)}
        call = Call(part.forward, where, known, mine)
        if 'label' in call.names and type(part).__module__.startswith('mmpretrain.') and 'label' not in mine:
            raise ValueError(
                f'{where}: {type(part).__name__} would read the observed label, which methods never change; add '
                'inputs=dict(label="target") for what they make of it, or inputs=dict(label="label")'
            )
        self._calls[kind].append((where, part, call))
        for published in getattr(part, 'publishes', ()):
            amends = kind == 'refiners' and published in REFINABLE
            if published in known and not amends:
                raise ValueError(f'{where} publishes "{published}", which something else does already')
            before = self._refined.get(published)
            if before and published not in call.names.values():
                raise ValueError(
                    f'{before} and {where} both set "{published}", and the second does not read what the first has '
                    f'set: take one out with None, or let {type(part).__name__}.forward take {published} and amend it'
                )
            if amends:
                self._refined[published] = where
            known[published] = f'from {where}'

    def _build(self, cfg: Mapping, where: str) -> tuple[nn.Module, Mapping]:
        cfg = dict(cfg)
        inputs = cfg.pop('inputs', {})
        weight = cfg.get('loss_weight')
        if isinstance(weight, list | tuple):
            self.schedules[where] = checked_schedule(weight, where)
            cfg['loss_weight'] = weight[0][1]
        elif weight is not None:
            check_weight(weight, where)
        return build_part(cfg, where), inputs

    @property
    def read_by_losses(self) -> list[set[str]]:
        """The names that each loss reads."""
        return [set(call.names.values()) for _, _, call in self._calls['losses']]

    @property
    def needs_landmarks(self) -> str | None:
        """Where the first part that reads landmarks stands in the config, or None."""
        for calls in self._calls.values():
            for where, _, call in calls:
                if {'landmarks', 'landmark_valid'} & call.required:
                    return where
        return None

    def initialize(self, model: nn.Module, pretrained: bool) -> None:
        """Lets parts initialise themselves from the network, when its own weights are."""
        for part in self.having('initialize'):
            part.initialize(model, pretrained)

    def check(self, model: nn.Module, wrapper: nn.Module | None = None) -> None:
        """Lets parts refuse a network that they cannot work with."""
        for part in self.having('check'):
            part.check(model, **{'wrapper': wrapper} if 'wrapper' in signature(part.check).parameters else {})

    def having(self, method: str) -> list:
        """The parts that have a method, in the order they run."""
        return [part for kind in KINDS for _, part, _ in self._calls[kind] if hasattr(part, method)]

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
        for where, part, begin in self._calls['begin']:
            log.enter(where)
            publish(trace, part, begin, whole=False, complete=False)
        with self.taps.record(model, inputs.shape[-2:]) as tapped, ExitStack() as contexts:
            for part in self.having('around'):
                contexts.enter_context(part.around())
            features = model.extract_feat(inputs)
            embedding = embedding_of(model.head, features)
            logits = model.head(features)
        self.taps.require(tapped, model.training)
        trace.publish({'embedding': embedding, 'logits': logits, **tapped}, whole=False)
        trace.given.update(tapped.given)
        for where, branch, call in self._calls['branches']:
            log.enter(where)
            publish(trace, branch, call, whole=False)

        losses: dict[str, Tensor] = {}
        with full_precision(inputs.device.type):
            for where, refiner, call in self._calls['refiners']:
                log.enter(where)
                publish(trace, refiner, call, whole=True)
            for where, loss, call in self._calls['losses']:
                log.enter(where)
                if where in self.schedules:
                    loss.loss_weight = interpolate(self.schedules[where], trace.whole('epoch'))
                value = call(trace.local if getattr(loss, 'local_rows', False) else trace.whole)
                losses[f'{log.method}.{log.part}_loss'] = value
            self._pending = [
                (finish.function, detached(finish.arguments(trace.whole))) for _, _, finish in self._calls['finish']
            ]
        return {**losses, **log.figures}

    def commit(self) -> None:
        """Writes what the step has to remember, once its backward pass needs the old memories no more."""
        for finish, arguments in self._pending:
            finish(**arguments)
        self._pending = []
        self.bank.commit()
