"""Methods together: all five around one classifier, any two of them, and what cannot go together."""

import copy
import itertools
from types import SimpleNamespace

import pytest
import torch
from mmpretrain.models import ImageClassifier
from tiny import CE, TurnTargets, faces, hooks_of, lanet, network, total
from torch import nn
from torch.testing import assert_close

from mmfer.apis.export import export_deployed
from mmfer.engine.hooks import SampleBankHook
from mmfer.models.classifiers import FERClassifier
from mmfer.models.supervision import Part

SIZE = 64
PREPROCESSOR = dict(type='mmfer.FaceDataPreprocessor', size=SIZE)
ARM = dict(type='mmfer.ARM', in_channels=64, map_size=2, upscale=4)
WIDTH = {True: 25, False: 64}
METHODS = {
    'scn': dict(
        taps=dict(importance='head.attention'),
        refiners=dict(relabel=dict(type='mmfer.MarginRelabel', start_epoch=1, margin=0.02, scope='all')),
        losses=dict(rank=dict(type='mmfer.RankRegularizationLoss', margin=0.5)),
    ),
    'pal': dict(
        taps=dict(stage4='backbone.layer4'),
        branches=dict(gradient=dict(type='mmfer.GradientActivation', inputs=dict(feature='stage4'))),
        losses=dict(pal=dict(type='mmfer.PrivilegedAttributionLoss')),
    ),
    'lanet': lanet(),
    'sna': dict(
        branches=dict(
            neighbours=dict(
                type='mmfer.SemanticNeighbours',
                checkpoint=None,
                kind='adversarial',
                autoencoder=dict(type='mmfer.FaceAutoEncoder', size=16, latent_dim=8, channels=4, depth=1),
            )
        ),
        refiners=dict(reliability=dict(type='mmfer.ReliabilityWeights', warmup=0)),
        losses=dict(smooth=dict(type='mmfer.NeighborhoodSmoothnessLoss')),
    ),
}
LOSSES = {
    'scn': {'scn.rank_loss'},
    'pal': {'pal.pal_loss'},
    'sna': {'sna.smooth_loss'},
    'arm': set(),
    'lanet': {'lanet.heatmap_loss', 'lanet.kl_loss', 'lanet.contrast_loss'},
}
COLUMNS = {
    'scn': {'relabelled', 'importance'},
    'pal': set(),
    'sna': {'instability', 'reliability'},
    'arm': set(),
    'lanet': {'label_distribution'},
}
FIVE = ('scn', 'arm', 'pal', 'lanet', 'sna')


def parts_of(names) -> dict:
    """The network that the methods need: ARM is a neck, SCN a head."""
    parts = network()
    parts['neck'] = dict(ARM) if 'arm' in names else parts['neck']
    kind = 'mmfer.SCNHead' if 'scn' in names else 'LinearClsHead'
    parts['head'] = dict(type=kind, num_classes=3, in_channels=WIDTH['arm' in names])
    return parts


def together(*names, parts=None, **others) -> FERClassifier:
    """Cross-entropy and the methods, in the order named, on a thin ResNet-18; 12 faces of labels 0, 1, 2, 0, ..."""
    torch.manual_seed(3)  # tiny score nets may begin with dead ReLUs
    methods = {name: copy.deepcopy(METHODS[name]) for name in names if name != 'arm'}
    model = FERClassifier(
        **(parts or parts_of(names)), data_preprocessor=PREPROCESSOR, supervision=dict(cls=CE, **methods, **others)
    )
    model.supervision.bank.allocate(torch.arange(12) % 3, 3)
    for module in model.supervision.modules():
        if hasattr(module, 'latent_std'):
            module.latent_std.fill_(5.0)  # a random decoder draws nothing much
    return model.train()


def train(model, steps=2, rate=0.01):
    """Plain SGD; losses and weights without a gradient of each step."""
    optimizer = torch.optim.SGD([p for p in model.parameters() if p.requires_grad], lr=rate)
    seen = []
    for step in range(steps):
        losses = model(*faces(6, size=SIZE, seed=step), mode='loss')
        optimizer.zero_grad()
        total(losses).backward()
        missing = [name for name, p in model.named_parameters() if p.requires_grad and p.grad is None]
        optimizer.step()
        model.supervision.commit()
        seen.append((losses, missing))
    return seen


def deployed(model) -> dict:
    return {
        name: value
        for name, value in model.state_dict().items()
        if not name.startswith(('supervision.', 'head.attention.'))
    }


def stock(names=('arm',)) -> ImageClassifier:
    """mmpretrain's classifier with ARM as its neck."""
    return ImageClassifier(**parts_of([name for name in names if name == 'arm']))


# --- all five ---


@pytest.mark.parametrize('order', [FIVE, FIVE[::-1]], ids=['forth', 'back'])
def test_all_five_train_together(order):
    model = together(*order)
    assert hooks_of(model) == 0
    for losses, missing in train(model):
        assert {name for name in losses if 'loss' in name} == {'cls.ce_loss', *set.union(*LOSSES.values())}
        assert all(value.isfinite().all() for value in losses.values())
        assert missing == []
        assert hooks_of(model) == 0
    assert all(p.isfinite().all() for p in model.parameters())
    assert set(model.supervision.bank.columns) == set.union(*COLUMNS.values())
    assert model.supervision.bank.column('relabelled').tolist() != (torch.arange(12) % 3).tolist()
    columns = {name: model.supervision.bank.column(name)[:6] for name in ('importance', 'instability')}
    assert (columns['importance'] < 1).all()
    assert (columns['instability'] > 0).all()
    assert (model.supervision.bank.column('label_distribution')[:6].amax(1) < 1).all()


def test_every_weight_that_trains_moves():
    model = together(*FIVE)
    before = {name: p.detach().clone() for name, p in model.named_parameters()}
    train(model, steps=4)  # the first one has no negatives to contrast with
    still = [name for name, p in model.named_parameters() if p.requires_grad and torch.equal(p, before[name])]
    assert [name for name in still if name.endswith('weight')] == []
    frozen = {name.split('.')[2] for name, p in model.named_parameters() if not p.requires_grad}
    assert frozen == {'lanet', 'sna'}  # key encoder, autoencoder


def test_the_methods_passes_leave_no_trace_in_the_network():
    """Key encoder, perturbed faces and attributions: prediction, statistics and averages are those without them."""
    names = ('scn', 'arm')
    model, plain = together(*FIVE), together(*names)
    plain.load_state_dict(
        {
            name: value
            for name, value in model.state_dict().items()
            if not name.startswith('supervision.') or name in plain.state_dict()
        }
    )
    inputs, batch = faces(6, size=SIZE)
    losses, expected = model.loss(inputs, batch), plain.loss(inputs, batch)
    assert_close(losses['cls.ce_loss'], expected['cls.ce_loss'], rtol=0, atol=0)  # no label has changed yet
    assert_close(losses['scn.rank_loss'], expected['scn.rank_loss'], rtol=0, atol=0)
    total(losses).backward()
    model.supervision.commit()
    moved = dict(plain.named_buffers())
    assert {'neck.generic', 'backbone.bn1.running_mean'} <= set(moved)
    for name, value in model.named_buffers():
        if name in moved:
            assert_close(value, moved[name], rtol=0, atol=0, msg=lambda text, name=name: f'{name}: {text}')


def test_predictions_are_those_of_the_plain_network():
    model, plain = together(*FIVE), stock()
    train(model)
    plain.load_state_dict(deployed(model), strict=True)
    model.eval()
    plain.eval()
    inputs, batch = faces(5, size=SIZE, seed=9)
    with torch.inference_mode():
        assert_close(model(inputs), plain(inputs), rtol=1e-5, atol=1e-6)
        ours, theirs = (each(inputs, list(batch), mode='predict') for each in (model, plain))
    for mine, other in zip(ours, theirs, strict=True):
        assert mine.pred_label.tolist() == other.pred_label.tolist()
        assert_close(mine.pred_score, other.pred_score, rtol=1e-5, atol=1e-6)
    scores = torch.stack([one.pred_score for one in ours])
    assert scores.std(0).min() > 1e-6
    assert hooks_of(model) == 0


def test_the_export_loads_strictly_into_a_stock_classifier(tmp_path):
    model, plain = together(*FIVE), stock()
    train(model)
    parts = parts_of(FIVE)
    config = f"model = dict(head=dict(type='{parts['head']['type']}'), neck=dict(type='{parts['neck']['type']}'))\n"
    torch.save(dict(state_dict=model.state_dict(), meta=dict(epoch=1, cfg=config)), tmp_path / 'epoch_1.pth')
    report = export_deployed(tmp_path / 'epoch_1.pth', tmp_path / 'out.pth')
    plain.load_state_dict(torch.load(tmp_path / 'out.pth', weights_only=True)['state_dict'], strict=True)
    assert set(report.dropped) == {'supervision', 'head.attention'}
    assert report.parameters == sum(p.numel() for p in plain.parameters())  # ARM's average is none
    inputs, _ = faces(4, size=SIZE)
    with torch.inference_mode():
        assert_close(plain.eval()(inputs), model.eval()(inputs), rtol=1e-5, atol=1e-6)


# --- some of them ---


@pytest.mark.parametrize('names', list(itertools.combinations(FIVE, 2)), ids='+'.join)
def test_any_two_train_together(names):
    model = together(*names)
    ((losses, missing),) = train(model, steps=1)
    assert {name for name in losses if 'loss' in name} == {'cls.ce_loss'}.union(*(LOSSES[name] for name in names))
    assert all(value.isfinite() for value in losses.values())
    assert missing == []
    assert set(model.supervision.bank.columns) == set().union(*(COLUMNS[name] for name in names))


def test_methods_that_are_none_were_never_there():
    model, plain = together('scn', 'arm', pal=None, lanet=None, sna=None), together('scn', 'arm')
    assert list(model.state_dict()) == list(plain.state_dict())
    (losses, _), (expected, _) = (train(each, steps=1)[0] for each in (model, plain))
    assert list(losses) == list(expected)
    for name, value in expected.items():
        assert_close(losses[name], value, rtol=0, atol=0)


def weights_and_targets(*names, **others):
    """What the classification term is given in the second of two visits."""
    kept = []

    class Keep(Part):
        def forward(self, target, weight, logits):
            kept.append((target.clone(), weight.clone()))
            return 0 * logits.sum()

    model = together(*names, **others, keep=dict(losses=dict(keep=dict(type=Keep))))
    model.eval()  # a network that repeats itself
    model.head.train()
    inputs, batch = faces(6, size=SIZE)
    for _ in range(2):
        model.loss(inputs, batch)
        model.supervision.commit()
    return (*kept[1], model.supervision.bank)


class HalfWeight(Part):
    """A refiner that amends."""

    publishes = ('weight',)

    def forward(self, weight):
        return {'weight': 0.5 * weight}


def test_refiners_amend_what_earlier_ones_have_set():
    turn = dict(refiners=dict(turn=dict(type=TurnTargets)))  # the next face's target, and weights by the face's number
    target, weight, bank = weights_and_targets(turn=turn)
    assert target.tolist() == [1, 2, 0, 1, 2, 0]
    assert_close(weight, 1 / (1 + torch.arange(6.0)))
    # Written behind `scn`, it turns SCN's targets.
    target, _, bank = weights_and_targets('scn', turn=turn)
    stored = bank.column('relabelled')[:6]
    assert stored.tolist() != [0, 1, 2, 0, 1, 2]
    assert target.tolist() == stored.roll(-1).tolist()
    # Its weights and SNA's are multiplied in either order.
    half = dict(refiners=dict(half=dict(type=HalfWeight)))
    _, weight, bank = weights_and_targets('sna', half=half)
    assert_close(weight, 0.5 * bank.column('reliability')[:6])


# --- what cannot go together ---


class OwnTarget(Part):
    """A refiner that discards the target it finds."""

    publishes = ('target',)

    def forward(self, label):
        return {'target': label.flip(0)}


class OwnWeight(Part):
    """A refiner that discards the weight it finds."""

    publishes = ('weight',)

    def forward(self, label):
        return {'weight': label.float()}


@pytest.mark.parametrize(
    ('first', 'part', 'where'),
    [
        ('scn', OwnTarget, 'supervision.scn.refiners.relabel'),
        ('sna', OwnWeight, 'supervision.sna.refiners.reliability'),
    ],
)
def test_a_refiner_that_discards_an_earlier_ones_decision_is_refused(first, part, where):
    mine = dict(refiners=dict(own=dict(type=part)))
    with pytest.raises(ValueError, match=f'{where} and supervision.mine.refiners.own both set "{part.publishes[0]}"'):
        together(first, mine=mine)


@pytest.mark.parametrize('part', [OwnTarget, OwnWeight])
def test_two_refiners_that_read_nothing_are_refused(part):
    with pytest.raises(ValueError, match=r'supervision.a.refiners.own and supervision.b.refiners.own both set'):
        together(a=dict(refiners=dict(own=dict(type=part))), b=dict(refiners=dict(own=dict(type=part))))
    model = together(a=dict(refiners=dict(own=dict(type=part))))  # one alone may
    assert train(model, steps=1)[0][1] == []


@pytest.mark.parametrize(
    ('name', 'column'), [('scn', 'relabelled'), ('sna', 'instability'), ('lanet', 'label_distribution')]
)
def test_methods_that_remember_by_one_name_are_refused(name, column):
    again = copy.deepcopy(METHODS[name])
    for method in (again,):  # only the refiner once more: other names would clash before
        for kind in ('branches', 'losses'):
            method.pop(kind, None)
    with pytest.raises(ValueError, match=f'supervision.again.refiners.* declares the bank column "{column}"'):
        together(name, again=again)


@pytest.mark.parametrize('name', ['scn', 'pal', 'sna'])
def test_a_method_without_what_it_reads_is_refused(name):
    cfg = copy.deepcopy(METHODS[name])
    cfg.pop({'scn': 'taps', 'pal': 'branches', 'sna': 'branches'}[name])
    missing = {'scn': 'importance', 'pal': 'attribution', 'sna': 'neighbour_logits'}[name]
    with pytest.raises(ValueError, match=f'supervision.mine.* needs "{missing}", which nothing publishes'):
        together(mine=cfg, parts=parts_of([name]))


def test_scn_on_a_plain_head_is_refused():
    with pytest.raises(ValueError, match='tap "importance": the network has no module "head.attention"'):
        together('scn', parts=parts_of([]))


# --- PAL and SyncBatchNorm ---


def with_tap(layer):
    method = copy.deepcopy(METHODS['pal'])
    method['taps'] = dict(stage4=layer)
    return method


def synced(model):
    """As mmengine does before a run with sync_bn='torch'."""
    return nn.SyncBatchNorm.convert_sync_batchnorm(model)


def before_the_run(model) -> None:
    SampleBankHook().before_train(SimpleNamespace(model=model))


BEHIND = {'backbone.layer3': 'backbone.layer4', 'backbone.layer1': 'backbone.layer2'}


@pytest.mark.parametrize('layer', BEHIND)
def test_pal_before_a_sync_batch_norm_is_refused_at_build(layer):
    parts = network()
    parts['backbone']['norm_cfg'] = dict(type='SyncBN')
    with pytest.raises(ValueError, match=f'{BEHIND[layer]}.*SyncBatchNorm'):
        together(pal=with_tap(layer), parts=parts)


@pytest.mark.parametrize('layer', BEHIND)
def test_pal_before_a_sync_batch_norm_is_refused_before_the_run(layer):
    model = together(pal=with_tap(layer))
    before_the_run(model)
    with pytest.raises(ValueError, match=f'{BEHIND[layer]}.*SyncBatchNorm.*sync_bn'):
        before_the_run(synced(model))


def test_pal_before_the_batch_norm_of_arm_is_refused_likewise():
    model = together('arm', 'pal')
    before_the_run(model)
    with pytest.raises(ValueError, match='neck.*SyncBatchNorm.*sync_bn'):
        before_the_run(synced(model))


def test_pal_behind_the_last_sync_batch_norm_may_run():
    before_the_run(synced(together('pal')))
    parts = parts_of(['arm'])
    parts['neck']['norm_cfg'] = None
    before_the_run(synced(together('arm', 'pal', parts=parts)))
    parts = network()
    parts['backbone']['norm_cfg'] = dict(type='SyncBN')
    together('pal', parts=parts)


@pytest.mark.parametrize('name', ['scn', 'sna', 'lanet', 'arm'])
def test_the_others_may_run_with_sync_batch_norm(name):
    before_the_run(synced(together(name)))
