"""Parts are wired by the names of their parameters, and every mistake is found when the model is built."""

import re

import pytest
import torch
from tiny import ToyClassifier
from torch.testing import assert_close

from mmfer.models.supervision import Part, Supervision
from mmfer.models.supervision.wiring import Call, build_part
from mmfer.structures import VOCABULARY, FaceBatch

KNOWN = {'logits': 'scores', 'target': 'labels', 'stage4': 'a tap'}


class Echo(Part):
    """Gives back what it was called with."""

    def forward(self, logits, target, scale=2.0):
        return logits, target, scale


class Publisher(Part):
    publishes = ('thing',)

    def forward(self, logits):
        return {'thing': logits * 2}


class Consumer(Part):
    def forward(self, thing):
        return thing.sum()


class OptionalLandmarks(Part):
    def forward(self, logits, landmarks=None):
        return logits.sum() if landmarks is None else landmarks.sum()


def wire(part, inputs=None, known=KNOWN):
    return Call(part.forward, 'supervision.a.losses.b', known, inputs or {})


def build(methods):
    return Supervision(methods, ToyClassifier())


def losses(**parts):
    return dict(a=dict(losses=parts))


# --- names ---


def test_parameters_are_read_by_their_names():
    call = wire(Echo())
    assert call.names == {'logits': 'logits', 'target': 'target'}
    assert call({'logits': 'L', 'target': 'T'}.__getitem__) == ('L', 'T', 2.0)


def test_inputs_renames_parameters_for_one_part():
    call = wire(Echo(), dict(logits='stage4', scale='target'))
    assert call({'target': 'T', 'stage4': 'S'}.__getitem__) == ('S', 'T', 'T')


def test_a_parameter_with_a_default_may_be_missing_and_is_read_where_it_is_there():
    assert 'scale' not in wire(Echo()).names
    call = wire(Echo(), known=KNOWN | {'scale': 'published by someone'})
    assert call({'logits': 'L', 'target': 'T', 'scale': 5}.__getitem__) == ('L', 'T', 5)


def test_variadic_parameters_ask_for_nothing():
    class Greedy(Part):
        def forward(self, logits, *args, **kwargs):
            return logits

    assert wire(Greedy()).names == {'logits': 'logits'}


def test_an_optional_parameter_is_left_out_where_the_data_has_none():
    supervision, model = build(losses(part=dict(type=OptionalLandmarks))), ToyClassifier()
    assert supervision.needs_landmarks is None  # it can do without
    batch = FaceBatch(torch.tensor([0, 1]), torch.arange(2))
    inputs = torch.randn(2, 3, 8, 8)
    seen = supervision(model, inputs, batch)
    assert_close(seen['a.part_loss'], model.head(model.extract_feat(inputs)).sum())
    batch.landmarks, batch.landmark_valid = torch.ones(2, 68, 2), torch.ones(2).bool()
    assert supervision(model, inputs, batch)['a.part_loss'].item() == 2 * 68 * 2


# --- mistakes in names ---


def test_a_name_that_nothing_publishes_is_met_with_the_nearest_and_the_vocabulary():
    class Misspelt(Part):
        def forward(self, logit):
            return logit

    with pytest.raises(
        ValueError,
        match='supervision.a.losses.x needs "logit", which nothing publishes; did you mean "logits".; known here are: ',
    ) as caught:
        build(losses(x=dict(type=Misspelt)))
    for name in VOCABULARY:
        assert name in str(caught.value).split('known here are: ')[1].split(', ')


def test_a_misspelt_source_of_inputs_is_an_error_too():
    with pytest.raises(ValueError, match='supervision.a.losses.b needs "stage_4".*did you mean "stage4"'):
        wire(Echo(), dict(logits='stage_4'))


def test_an_optional_parameter_that_is_renamed_must_be_published():
    with pytest.raises(ValueError, match='needs "scales", which nothing publishes'):
        wire(Echo(), dict(scale='scales'))


def test_inputs_must_rename_a_parameter():
    with pytest.raises(
        ValueError,
        match=r'supervision.a.losses.b: inputs renames "logit", but forward\(\) has no such '
        r'parameter; did you mean "logits".*it has logits, target, scale',
    ):
        wire(Echo(), dict(logit='stage4'))


def test_only_what_stands_before_a_part_is_known_to_it():
    first = dict(type=Publisher)
    build(dict(a=dict(branches=dict(p=first), losses=dict(c=dict(type=Consumer)))))
    # Kinds have their order, whatever the order of the methods.
    build(dict(b=dict(losses=dict(c=dict(type=Consumer))), a=dict(branches=dict(p=first))))
    reader = dict(type=Consumer)
    with pytest.raises(ValueError, match='supervision.a.branches.c needs "thing", which nothing publishes'):
        build(dict(a=dict(branches=dict(c=reader, p=first))))


def test_a_tap_is_known_by_its_name():
    class Maps(Part):
        def forward(self, maps):
            return maps.sum()

    cfg = dict(taps=dict(maps='backbone.conv'), losses=dict(x=dict(type=Maps)))
    assert build(dict(a=cfg)).taps.paths == {'maps': 'backbone.conv'}
    with pytest.raises(ValueError, match='needs "maps", which nothing publishes'):
        build(losses(x=dict(type=Maps)))


@pytest.mark.parametrize('name', ['begin', 'finish'])
def test_inputs_may_rename_what_only_begin_or_finish_reads(name):
    class Memory(Part):
        publishes = ()

        def forward(self, logits):
            return {}

    setattr(Memory, name, lambda self, picture: {})
    build(dict(a=dict(branches=dict(m=dict(type=Memory, inputs=dict(picture='inputs'))))))
    with pytest.raises(ValueError, match='supervision.a.branches.m needs "picture", which nothing publishes'):
        build(dict(a=dict(branches=dict(m=dict(type=Memory)))))


def test_begin_runs_before_the_network_and_may_not_read_what_it_puts_out():
    class Early(Part):
        publishes = ()

        def begin(self, embedding):
            return {}

        def forward(self, logits):
            return {}

    with pytest.raises(ValueError, match='supervision.a.branches.e needs "embedding", which nothing publishes'):
        build(dict(a=dict(branches=dict(e=dict(type=Early)))))


# --- what publishes ---


@pytest.mark.parametrize('name', ['logits', 'target', 'maps', 'thing'])
def test_a_name_is_published_once(name):
    class Twice(Part):
        publishes = (name,)

        def forward(self, inputs):
            return {name: inputs}

    methods = dict(
        a=dict(taps=dict(maps='backbone.conv'), branches=dict(p=dict(type=Publisher))),
        b=dict(branches=dict(q=dict(type=Twice))),
    )
    with pytest.raises(ValueError, match=f'supervision.b.branches.q publishes "{name}", which something else does'):
        build(methods)


def test_refiners_and_only_they_publish_target_and_weight_again():
    class Refiner(Part):
        publishes = ('target', 'weight')

        def forward(self, target, weight):
            return {'target': target + 1, 'weight': weight / 2}

    class Seen(Part):
        def forward(self, target, weight, label):
            return (target - label).sum() + weight.sum()

    cfg = dict(one=dict(type=Refiner), two=dict(type=Refiner))
    supervision = build(dict(a=dict(refiners=cfg, losses=dict(seen=dict(type=Seen)))))
    seen = supervision(ToyClassifier(), torch.randn(4, 3, 8, 8), FaceBatch(torch.zeros(4).long(), torch.arange(4)))
    assert seen['a.seen_loss'].item() == 4 * 2 + 4 / 4

    class Label(Refiner):
        publishes = ('label',)

    with pytest.raises(ValueError, match='supervision.a.refiners.l publishes "label", which something else does'):
        build(dict(a=dict(refiners=dict(l=dict(type=Label)))))
    with pytest.raises(ValueError, match='supervision.a.branches.r publishes "target", which something else does'):
        build(dict(a=dict(branches=dict(r=dict(type=Refiner)))))


# --- parts ---


def test_a_part_is_built_from_its_registered_name_or_its_class():
    part = build_part(dict(type='mmfer.CrossEntropyLoss', label_smoothing=0.25), 'here')
    assert type(part).__name__ == 'CrossEntropyLoss'
    assert part.label_smoothing == 0.25
    assert isinstance(build_part(dict(type=Echo), 'here'), Echo)


@pytest.mark.parametrize(
    ('cfg', 'message'),
    [
        (
            dict(type='mmfer.DistributionKLoss'),
            'here: no part is registered as "mmfer.DistributionKLoss"; did you mean "mmfer.DistributionKLLoss"?',
        ),
        (dict(type='LandmarkBranc'), 'no part is registered as "LandmarkBranc"; did you mean "mmfer.LandmarkBranch"?'),
        (
            dict(type='mmfer.CrossEntropyLoss', label_smothing=0.1),
            'here: mmfer.CrossEntropyLoss takes no "label_smothing"; '
            'did you mean "label_smoothing"? (it takes label_smoothing, loss_weight, class_weight)',
        ),
        (dict(loss_weight=1.0), 'here needs a "type", for example'),
    ],
)
def test_a_misspelt_type_or_argument_is_met_with_the_nearest(cfg, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        build_part(cfg, 'here')


def test_a_mistake_inside_a_part_names_its_place_in_the_config():
    with pytest.raises(ValueError, match='temperature must be positive, got 0'):
        build_part(dict(type='mmfer.LandmarkContrastiveLoss', temperature=0), 'here')


# --- methods ---


def test_an_unknown_key_of_a_method_is_met_with_those_there_are():
    with pytest.raises(ValueError, match='supervision.a takes taps, branches, refiners and losses, not "loses"'):
        build(dict(a=dict(loses={})))


def test_a_tap_may_not_hide_what_every_step_knows():
    with pytest.raises(ValueError, match='the tap "logits" has the name of something every step knows'):
        build(dict(a=dict(taps=dict(logits='backbone.conv'))))


@pytest.mark.parametrize('name', ['bank', 'epoch'])
def test_nor_what_the_ranks_share(name):
    with pytest.raises(ValueError, match=f'the tap "{name}" has the name of something every step knows'):
        build(dict(a=dict(taps={name: 'backbone.conv'})))


def test_methods_share_a_tap_of_the_same_path_and_not_of_another():
    taps = dict(a=dict(taps=dict(maps='backbone.conv')), b=dict(taps=dict(maps='backbone.conv')))
    assert build(taps).taps.paths == {'maps': 'backbone.conv'}
    taps['b'] = dict(taps=dict(maps='backbone.deep'))
    with pytest.raises(
        ValueError, match='supervision.b.taps.maps is backbone.deep, but another method taps backbone.conv'
    ):
        build(taps)


def test_none_takes_out_a_method_or_a_part_or_a_tap():
    everything = dict(
        a=dict(
            taps=dict(maps='backbone.conv', more='backbone.deep'),
            branches=dict(p=dict(type=Publisher)),
            losses=dict(ce=dict(type='mmfer.CrossEntropyLoss'), c=dict(type=Consumer)),
        ),
        b=dict(losses=dict(ce=dict(type='mmfer.CrossEntropyLoss'))),
    )

    def losses_of(methods):
        batch = FaceBatch(torch.zeros(2).long(), torch.arange(2))
        return set(build(methods)(ToyClassifier(), torch.randn(2, 3, 8, 8), batch))

    assert losses_of(everything) == {'a.ce_loss', 'a.c_loss', 'b.ce_loss'}
    assert losses_of(everything | dict(b=None)) == {'a.ce_loss', 'a.c_loss'}
    changed = dict(everything['a'])
    changed['losses'] = changed['losses'] | dict(c=None)
    changed['taps'] = changed['taps'] | dict(more=None)
    changed['branches'] = None
    assert losses_of(everything | dict(a=changed)) == {'a.ce_loss', 'b.ce_loss'}
    assert build(everything | dict(a=changed)).taps.paths == {'maps': 'backbone.conv'}
    changed['branches'] = dict(p=None)  # what was left behind says what it misses
    changed['losses'] = dict(c=dict(type=Consumer))
    with pytest.raises(ValueError, match='supervision.a.losses.c needs "thing", which nothing publishes'):
        build(dict(a=changed))
