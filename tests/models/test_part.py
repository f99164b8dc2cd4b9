"""The protocol of parts: what it does unless a part says otherwise, and who may stand in its place."""

import re
from contextlib import nullcontext

import pytest
import torch
from tiny import CE, ToyClassifier, classifier, lanet
from torch import nn

from mmfer.models import losses
from mmfer.models.supervision import Part, Supervision, branches, refiners
from mmfer.models.supervision.part import PROTOCOL
from mmfer.structures import Column, FaceBatch


class Doubles(Part):
    publishes = ('doubled',)

    def forward(self, embedding):
        return {'doubled': 2 * embedding}


class Learns(nn.Module):
    """A loss that knows nothing of supervisions."""

    def __init__(self, loss_weight=1.0):
        super().__init__()
        self.loss_weight, self.scale = loss_weight, nn.Parameter(torch.ones(()))

    def forward(self, logits):
        return self.loss_weight * (self.scale * logits).square().mean()


def build(**kinds):
    return Supervision(dict(a={kind: {'x': dict(type=part)} for kind, part in kinds.items()}), ToyClassifier())


def test_a_part_does_nothing_until_it_says_so():
    part = Part()
    assert (part.publishes, part.shares, part.as_given, part.local_rows, dict(part.inputs)) == ((), (), (), False, {})
    assert part.bank_columns() == part.begin() == {}
    assert isinstance(part.around(), nullcontext)
    model = ToyClassifier()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    for call in (
        lambda: part.setup(model, Supervision({}, model)),
        lambda: part.check(model, wrapper=None),
        lambda: part.check_run(8, 2),
        lambda: part.name_classes(('a', 'b')),
        lambda: part.initialize(model, pretrained=False),
        lambda: part.finish(),
    ):
        assert call() is None
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    with pytest.raises(NotImplementedError):
        part(torch.ones(1))


@pytest.mark.parametrize('room', [losses, branches, refiners], ids=lambda room: room.__name__)
def test_every_part_of_the_house_inherits_the_protocol(room):
    parts = [thing for thing in vars(room).values() if isinstance(thing, type) and issubclass(thing, nn.Module)]
    assert len(parts) > 2
    assert [part.__name__ for part in parts if not issubclass(part, Part)] == []


# --- who else may take part ---


def test_a_plain_loss_is_welcome_with_a_schedule_and_keeps_its_place_in_checkpoints():
    supervision = Supervision(
        dict(a=dict(losses=dict(x=dict(type=Learns, loss_weight=[(0, 0.5), (4, 1.5)])))), ToyClassifier()
    )
    assert list(supervision.state_dict()) == ['methods.a.losses.x.scale']
    assert supervision.methods['a']['losses']['x'].loss_weight == 0.5
    assert supervision.schedules == {'supervision.a.losses.x': [(0, 0.5), (4, 1.5)]}
    assert supervision.parts == []


@pytest.mark.parametrize('kind', ['branches', 'refiners'])
def test_branches_and_refiners_are_parts(kind):
    with pytest.raises(
        ValueError, match=f'supervision.a.{kind}.x: Learns is no Part, as branches and refiners are: let'
    ):
        build(**{kind: Learns})


@pytest.mark.parametrize('name', PROTOCOL)
def test_a_plain_loss_with_what_only_parts_are_asked_for_is_refused(name):
    loss = type('Forgot', (Learns,), {name: lambda self: {'kept': Column()}})
    with pytest.raises(
        ValueError, match=f'supervision.a.losses.x: Forgot has "{name}", for which only a Part is asked: let it inherit'
    ):
        build(losses=loss)


@pytest.mark.parametrize('name', PROTOCOL)
@pytest.mark.parametrize('value', [True, nn.Identity()], ids=['attribute', 'module'])
def test_what_a_plain_loss_sets_in_its_init_is_not_ignored_either(name, value):
    class Sets(Learns):
        def __init__(self):
            super().__init__()
            setattr(self, name, value)

    with pytest.raises(
        ValueError, match=f'supervision.a.losses.x: Sets has "{name}", for which only a Part is asked: let it inherit'
    ):
        build(losses=Sets)


class Hooks(Doubles):
    def __init__(self):
        super().__init__()
        self.called = []

    def begin(self, inputs):
        self.called.append('begin')
        return {}

    def around(self):
        self.called.append('around')
        return nullcontext()

    def finish(self, doubled):
        self.called.append('finish')


def test_a_step_calls_the_hooks_that_a_part_has_written_and_no_others(monkeypatch):
    def idle(self, *args, **kwargs):
        raise AssertionError('a step called a method that does nothing')

    methods = dict(
        a=dict(branches=dict(x=dict(type=Hooks)), losses=dict(x=dict(type=Learns))),
        b=dict(losses=dict(x=dict(type=type('Quiet', (Part,), {'forward': lambda self, logits: logits.sum()})))),
    )
    for name in ('begin', 'finish'):
        monkeypatch.setattr(Part, name, idle)
    monkeypatch.setattr(Part, 'around', lambda self: idle(self))  # what overrides it must take the same
    model = ToyClassifier()
    supervision = Supervision(methods, model)
    batch = FaceBatch(label=torch.zeros(4, dtype=torch.int64), sample_idx=torch.arange(4))
    supervision.bank.allocate(labels=torch.zeros(4, dtype=torch.int64), num_classes=7)
    supervision(model, torch.rand(4, 3, 8, 8), batch)
    supervision.commit()
    assert supervision.methods['a']['branches']['x'].called == ['begin', 'around', 'finish']


@pytest.mark.parametrize(
    'name', ['setup', 'check', 'check_run', 'initialize', 'name_classes', 'width_of', 'bank_columns']
)
def test_a_method_that_takes_something_else_than_it_is_given_is_refused(name):
    part = type('Odd', (Part,), {name: lambda self, nothing: None, 'forward': lambda self, logits: logits.sum()})
    with pytest.raises(ValueError, match=re.escape(f'supervision.a.losses.x: Odd.{name}(nothing) must take (')):
        build(losses=part)


class Forgets(nn.Module):
    def __init__(self, loss_weight=1.0):
        super().__init__()
        self.w = loss_weight

    def forward(self, logits):
        return self.w * logits.square().mean()


def test_a_schedule_for_a_loss_that_keeps_its_weight_elsewhere_is_refused():
    loss = dict(type=Forgets, loss_weight=[(0, 0.0), (3, 0.2)])
    with pytest.raises(ValueError, match='supervision.a.losses.x: loss_weight is a schedule, .* but Forgets keeps no'):
        Supervision(dict(a=dict(losses=dict(x=loss))), ToyClassifier())
    Supervision(dict(a=dict(losses=dict(x=loss | dict(loss_weight=0.2)))), ToyClassifier())


class ForEachFace(Part):
    def forward(self, logits):
        return logits.square().mean(1)


def test_a_loss_that_is_no_number_is_refused():
    model = ToyClassifier()
    supervision = Supervision(dict(a=dict(losses=dict(x=dict(type=ForEachFace)))), model)
    batch = FaceBatch(label=torch.zeros(4, dtype=torch.int64), sample_idx=torch.arange(4))
    with pytest.raises(
        ValueError, match=r'supervision.a.losses.x gives \[4\], but a loss is one number: take its mean'
    ):
        supervision(model, torch.rand(4, 3, 8, 8), batch)


@pytest.mark.parametrize('names', ['publishes', 'shares', 'as_given'])
def test_a_text_in_place_of_a_tuple_of_names_is_refused(names):
    part = type('Odd', (Doubles,), {names: 'doubled'})
    with pytest.raises(ValueError, match=f'supervision.a.branches.x: Odd.{names} must be a tuple of names, got a text'):
        build(branches=part)


def test_a_loss_that_publishes_is_refused():
    part = type('Odd', (Part,), {'publishes': ('more',), 'forward': lambda self, logits: logits.sum()})
    with pytest.raises(
        ValueError, match=r'supervision.a.losses.x: Odd publishes, which branches and refiners do; a loss'
    ):
        build(losses=part)


@pytest.mark.parametrize(
    ('name', 'sentence'),
    [
        ('DistributionKLLos', 'did you mean "mmfer.DistributionKLLoss"'),
        ('IslandTerm', 'a part of another package is named with it, "package.IslandTerm"'),
    ],
)
def test_a_part_that_is_named_without_its_package_is_found_or_told_so(name, sentence):
    with pytest.raises(ValueError, match=f'no part is registered as "{name}"; {sentence}'):
        build(losses=name)


# --- how parts find each other ---


def test_the_publisher_of_a_name_is_the_part_that_gives_it():
    supervision = build(branches=Doubles, losses=Learns)
    assert supervision.publisher('doubled') is supervision.methods['a']['branches']['x']
    assert supervision.publisher('embedding') is None


def test_while_a_part_is_set_up_only_those_before_it_are_there():
    seen = {}

    class Asks(Part):
        def setup(self, model, supervision):
            seen[self.inputs['logits']] = supervision.publisher('doubled')

        def forward(self, logits):
            return {}

    first, last = (dict(type=Asks, inputs=dict(logits=name)) for name in ('embedding', 'logits'))
    supervision = Supervision(
        dict(a=dict(branches=dict(first=first, x=dict(type=Doubles), last=last))), ToyClassifier()
    )
    assert seen == {'embedding': None, 'logits': supervision.publisher('doubled')}


def test_widths_of_the_embedding_of_taps_and_of_what_parts_publish():
    model = classifier(dict(cls=CE, lanet=lanet()))
    branch = model.supervision.methods['lanet']['branches']['landmark']
    widths = {
        'embedding': 64,
        'shared': model.get_submodule(model.supervision.taps.paths['shared'])[-1].conv2.out_channels,
        'landmark_embedding': branch.channels,
        'heatmaps': branch.num_landmarks,
        'expression_key': branch.channels,
    }
    before = {name: value.clone() for name, value in model.state_dict().items()}
    assert {name: model.supervision.width(model, name) for name in widths} == widths
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


def test_a_width_that_nobody_knows_is_said():
    supervision = build(branches=Doubles)
    with pytest.raises(ValueError, match='Doubles does not say how wide its "doubled" is: let it implement width_of'):
        supervision.width(ToyClassifier(), 'doubled')
    model = classifier(dict(cls=CE, lanet=lanet()))
    with pytest.raises(ValueError, match='MomentumKeys does not say how wide its "queue_label" is'):
        model.supervision.width(model, 'queue_label')
    with pytest.raises(ValueError, match='LandmarkBranch does not say how wide its "more" is'):
        model.supervision.publisher('heatmaps').width_of('more')
    with pytest.raises(ValueError, match='nothing before it publishes "tripled", whose width a part asks for'):
        supervision.width(ToyClassifier(), 'tripled')
