"""Builds the parts of a config, and connects each with what stands before it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import nn

from mmfer.models.supervision.methods_check import KINDS
from mmfer.models.supervision.part import Part, check_is_part, overrides
from mmfer.models.supervision.step import check_weight, checked_schedule
from mmfer.models.supervision.wiring import Call, build_part, own_renames
from mmfer.structures import REFINABLE, VOCABULARY, SampleBank

Wired = tuple[str, nn.Module, Call]
"""Place in the config, part, and its wired function."""


class Assembly:
    """The parts of a supervision in the order in which they run.

    Args:
        known: Names that taps give, with their meaning; grows by what parts publish.
        bank: Where parts declare what they remember.

    Attributes:
        calls: The wired functions of each stage of a step; `begin` and `finish` stand around the three kinds.
        parts: All but plain losses.
        around: Those of them that the network is run in.
        schedules: Weights over epochs by the place of their loss.
        publishers: The part that publishes a name.
        local: Places of the losses that take this rank's rows.
    """

    def __init__(self, known: Mapping[str, str], bank: SampleBank):
        self.known = {**VOCABULARY, **known}
        self.bank = bank
        self.calls: dict[str, list[Wired]] = {stage: [] for stage in ('begin', *KINDS, 'finish')}
        self.parts: list[Part] = []
        self.around: list[Part] = []
        self.schedules: dict[str, list[tuple[float, float]]] = {}
        self.publishers: dict[str, Part] = {}
        self.local: set[str] = set()
        self._refined: dict[str, str] = {}  # which refiner has last set target and weight
        self._places: list[str] = []

    def build(self, cfg: Mapping[str, Any], kind: str, where: str) -> tuple[nn.Module, dict[str, str]]:
        """A part, and the config's renames.

        Raises:
            ValueError: Naming the config's place, where the part or one of its settings is none.
        """
        cfg = dict(cfg)
        inputs = dict(cfg.pop('inputs', {}))
        weight = cfg.get('loss_weight')
        if isinstance(weight, list | tuple):
            self.schedules[where] = checked_schedule(weight, where)
            cfg['loss_weight'] = weight[0][1]
        elif weight is not None:
            check_weight(weight, where)
        part = build_part(cfg, where)
        check_is_part(part, kind, where)
        if where in self.schedules and 'loss_weight' not in dir(part):
            raise ValueError(
                f'{where}: loss_weight is a schedule, set anew at each epoch, but {type(part).__name__} keeps no '
                'attribute loss_weight: let it say self.loss_weight = loss_weight'
            )
        if isinstance(part, Part):
            part.inputs = inputs
        return part, inputs

    def connect(self, part: nn.Module, inputs: Mapping[str, str], kind: str, where: str) -> None:
        """Connects a part that has been set up.

        Raises:
            ValueError: Nothing before it publishes what it reads, or it publishes what something else does.
        """
        mine = inputs
        if isinstance(part, Part):
            self.bank.declare(part.bank_columns(), where)
            if overrides(part, 'begin'):
                early = {name: meaning for name, meaning in VOCABULARY.items() if name not in ('embedding', 'logits')}
                begin = Call(part.begin, where, early, own_renames(inputs, part.begin), part.as_given)
                self.calls['begin'].append((where, part, begin))
            taken = {name for function in (part.begin, part.finish) for name in own_renames(inputs, function)}
            mine = {**{k: v for k, v in inputs.items() if k not in taken}, **own_renames(inputs, part.forward)}
        call = Call(part.forward, where, self.known, mine, part.as_given if isinstance(part, Part) else ())
        if 'label' in call.names and type(part).__module__.startswith('mmpretrain.') and 'label' not in mine:
            raise ValueError(
                f'{where}: {type(part).__name__} would read the observed label, which methods never change; add '
                'inputs=dict(label="target") for what they make of it, or inputs=dict(label="label")'
            )
        self.calls[kind].append((where, part, call))
        if isinstance(part, Part):
            self.parts.append(part)
            if overrides(part, 'around'):
                self.around.append(part)
            self._places.append(where)
            if kind == 'losses' and part.local_rows:
                self.local.add(where)
            for name in part.publishes:
                self._publish(name, part, call, kind, where)

    def _publish(self, name: str, part: Part, call: Call, kind: str, where: str) -> None:
        amends = kind == 'refiners' and name in REFINABLE
        if name in self.known and not amends:
            raise ValueError(f'{where} publishes "{name}", which something else does already')
        before = self._refined.get(name)
        if before and name not in call.names.values():
            raise ValueError(
                f'{before} and {where} both set "{name}", and the second does not read what the first has '
                f'set: take one out with None, or let {type(part).__name__}.forward take {name} and amend it'
            )
        if amends:
            self._refined[name] = where
        self.known[name] = f'from {where}'
        self.publishers[name] = part

    @property
    def read(self) -> set[str]:
        """All names that something reads."""
        return {name for calls in self.calls.values() for _, _, call in calls for name in call.names.values()}

    def connect_ends(self) -> None:
        """Connects the ends of the step, when all parts are there: memories may keep what later ones publish."""
        for part, where in zip(self.parts, self._places, strict=True):
            if overrides(part, 'finish'):
                finish = Call(part.finish, where, self.known, own_renames(part.inputs, part.finish))
                self.calls['finish'].append((where, part, finish))
