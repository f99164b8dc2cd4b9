"""Accumulated gradients of two batches are those of one of both, or a part says what it makes of a whole batch."""

import pytest
import torch
from tiny import CE, TurnTargets, classifier, faces, total
from torch.testing import assert_close

from mmfer.engine.checks.accumulation import first_that_needs_whole_batches
from mmfer.models.supervision.branches import SemanticNeighbours
from mmfer.structures import FaceBatch

BACKBONE = dict(
    type='ResNet',
    depth=18,
    out_indices=(3,),
    style='pytorch',
    stem_channels=8,
    base_channels=8,
    norm_cfg=dict(type='GN', num_groups=2),  # batch norm would differ, which MMEngine warns of
)
SCN_HEAD = dict(type='mmfer.SCNHead', num_classes=3, in_channels=64)
SCN = dict(
    taps=dict(importance='head.attention'),
    refiners=dict(relabel=dict(type='mmfer.MarginRelabel', start_epoch=1, margin=0.0, scope='all')),
)
# Of eight faces the three most important, of four the two.
RANK = dict(losses=dict(rank=dict(type='mmfer.RankRegularizationLoss', margin=0.5, ratio=0.4)))
PAL = dict(
    taps=dict(stage4='backbone.layer4'),
    branches=dict(gradient=dict(type='mmfer.GradientActivation', inputs=dict(feature='stage4'))),
    losses=dict(pal=dict(type='mmfer.PrivilegedAttributionLoss')),
)
AUTOENCODER = dict(type='mmfer.FaceAutoEncoder', size=16, latent_dim=8, channels=4, depth=1)
SNA = dict(
    branches=dict(neighbours=dict(type='mmfer.SemanticNeighbours', autoencoder=AUTOENCODER)),
    losses=dict(smooth=dict(type='mmfer.NeighborhoodSmoothnessLoss')),
)
WEIGHTS = dict(refiners=dict(reliability=dict(type='mmfer.ReliabilityWeights', warmup=0, fraction=1.0)))


def arm(**settings) -> dict:
    head = dict(type='LinearClsHead', num_classes=3, in_channels=25)
    neck = dict(type='mmfer.ARM', in_channels=64, map_size=2, upscale=4, norm_cfg=None, **settings)
    return dict(neck=neck, head=head, size=64)


CASES = {
    'plain': (dict(cls=CE), {}, ''),
    'label smoothing': (
        dict(cls=dict(losses=dict(ce=dict(type='mmfer.CrossEntropyLoss', label_smoothing=0.1)))),
        {},
        '',
    ),
    'SCN without ranks': (dict(cls=CE, scn=SCN), dict(head=SCN_HEAD), ''),
    'PAL': (dict(cls=CE, pal=PAL), dict(size=64), ''),
    'SNA without weights': (dict(cls=CE, sna=SNA), {}, ''),
    'ARM without what faces share': (dict(cls=CE), arm(affinity=False), ''),
    'SCN': (
        dict(cls=CE, scn={**SCN, **RANK}),
        dict(head=SCN_HEAD),
        'RankRegularizationLoss (model.supervision.scn.losses.rank) ranks the faces of a batch',
    ),
    'SNA': (
        dict(cls=CE, sna={**SNA, **WEIGHTS}),
        {},
        'ReliabilityWeights (model.supervision.sna.refiners.reliability) gives weights, whose sum over a batch the '
        'classification term is divided by',
    ),
    'ARM': (dict(cls=CE), arm(), 'ARM (model.neck) adds the mean over the faces of a batch to each'),
    'class weights': (
        dict(cls=dict(losses=dict(ce=dict(type='mmfer.CrossEntropyLoss', class_weight=[1, 5, 2])))),
        {},
        'CrossEntropyLoss (model.supervision.cls.losses.ce) divides by the class weights of the faces in a batch',
    ),
}


def part_of(batch: FaceBatch, rows: slice) -> FaceBatch:
    return FaceBatch(**{name: value[rows] for name, value in vars(batch).items() if value is not None})


def trained(supervision: dict, options: dict, batches: int):
    """Gradients of eight faces in so many batches, and what is remembered of them then."""
    model = classifier(supervision, backbone=BACKBONE, **options).train()
    inputs, batch = faces(8, size=options.get('size', 32), seed=3)
    bank = model.supervision.bank
    bank.allocate(torch.arange(8) % 3, 3)
    if 'instability' in bank.columns:
        bank.column('instability').copy_(torch.linspace(0.1, 1, 8))  # else no weight falls
    for start in range(0, 8, 8 // batches):
        rows = slice(start, start + 8 // batches)
        (total(model.loss(inputs[rows], part_of(batch, rows))) / batches).backward()
        model.supervision.commit()
    gradients = {name: p.grad for name, p in model.named_parameters() if p.grad is not None}
    return model, gradients, bank.state_dict()['columns']


@pytest.mark.parametrize('case', CASES)
def test_two_batches_are_one_or_the_part_that_forbids_it_is_named(case, monkeypatch):
    supervision, options, sentence = CASES[case]
    # Random neighbours would be others in other batches.
    monkeypatch.setattr(SemanticNeighbours, 'neighbours', lambda part, model, inputs, logits: 0.5 * inputs.flip(3))
    model, once, remembered = trained(supervision, options, 1)
    _, twice, as_well = trained(supervision, options, 2)
    assert ' '.join(filter(None, first_that_needs_whole_batches(model, True))) == sentence
    assert once.keys() == twice.keys()
    differ = [name for name in once if not torch.allclose(once[name], twice[name], rtol=1e-3, atol=1e-6)]
    assert bool(differ) == bool(sentence)
    if not sentence:
        assert_close(as_well, remembered, rtol=1e-5, atol=1e-6)


def test_a_mean_over_faces_with_landmarks_is_one_where_all_have_them():
    model = classifier(dict(cls=CE, pal=PAL), backbone=BACKBONE, size=64)
    assert first_that_needs_whole_batches(model, True) == ('', '')
    assert first_that_needs_whole_batches(model, False) == (
        'PrivilegedAttributionLoss (model.supervision.pal.losses.pal)',
        'divides by the number of faces with landmarks in a batch',
    )


def test_a_part_of_another_package_that_says_nothing_counts_face_by_face():
    model = classifier(dict(cls=CE, turn=dict(refiners=dict(turn=dict(type=TurnTargets)))), backbone=BACKBONE)
    assert first_that_needs_whole_batches(model, False) == ('', '')
