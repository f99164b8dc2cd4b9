"""Trained under supervision, deployed without: what is left is a stock mmpretrain classifier."""

import copy
from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from mmengine.registry import MODELS, DefaultScope
from mmpretrain.models import ImageClassifier
from tiny import CE, classifier, faces, hooks_of, lanet, lanet_classifier, network, total
from torch.testing import assert_close

from mmfer.models.classifiers import FERClassifier

ROOT = Path(__file__).parents[2]
LANET = {'lanet.heatmap_loss', 'lanet.kl_loss', 'lanet.contrast_loss'}


def deployed(model):
    return {key: value for key, value in model.state_dict().items() if not key.startswith('supervision.')}


def train(model, steps=3, seed=0):
    """A few steps of everything, so that nothing is as it was initialised."""
    optimizer = torch.optim.Adam([p for p in model.parameters() if p.requires_grad], lr=1e-3)
    model.train()
    for step in range(steps):
        inputs, batch = faces(6, seed=seed + step, sample_idx=[3 * step + row for row in range(6)])
        losses = model(inputs, batch, mode='loss')
        optimizer.zero_grad()
        total(losses).backward()
        optimizer.step()
        model.supervision.commit()
    return losses


def stock(**options):
    return ImageClassifier(**network(**options))


# --- deployment ---


def test_the_deployed_state_of_the_real_config_loads_strictly_into_a_stock_classifier():
    cfg = Config.fromfile(str(ROOT / 'configs' / 'lanet' / 'r18_rafdb.py')).model.to_dict()
    cfg['pretrained'] = None
    cfg['supervision']['lanet']['branches']['keys']['queue_size'] = 16
    torch.manual_seed(0)
    with DefaultScope.overwrite_default_scope('mmpretrain'):
        ours = MODELS.build(copy.deepcopy(cfg)).eval()
        plain = MODELS.build(
            dict(type='ImageClassifier', backbone=cfg['backbone'], neck=cfg['neck'], head=cfg['head'])
        ).eval()
    assert any(key.startswith('supervision.') for key in ours.state_dict())
    plain.load_state_dict(deployed(ours), strict=True)
    parameters = sum(parameter.numel() for name, parameter in ours.named_parameters() if 'supervision' not in name)
    assert parameters == sum(parameter.numel() for parameter in plain.parameters())
    inputs = torch.randn(2, 3, 64, 64)
    with torch.inference_mode():
        assert_close(ours(inputs), plain(inputs), rtol=1e-5, atol=1e-5)


def test_after_training_the_stock_classifier_predicts_the_same():
    model, plain = lanet_classifier(), stock()
    train(model)
    plain.load_state_dict(deployed(model), strict=True)
    model.eval()
    plain.eval()
    inputs, batch = faces(5, seed=9)
    with torch.inference_mode():
        assert_close(model(inputs), plain(inputs), rtol=1e-5, atol=1e-6)
        ours, theirs = (each(inputs, list(batch), mode='predict') for each in (model, plain))
    for mine, other in zip(ours, theirs, strict=True):
        assert mine.pred_label.tolist() == other.pred_label.tolist()
        assert_close(mine.pred_score, other.pred_score, rtol=1e-5, atol=1e-6)


def test_predicting_and_encoding_are_inherited():
    for name in ('predict', 'extract_feat', 'forward'):
        assert getattr(FERClassifier, name) is getattr(ImageClassifier, name)


def test_predictions_do_not_depend_on_anything_of_the_supervision():
    model = lanet_classifier()
    train(model)
    model.eval()
    inputs, _ = faces(4, seed=5)
    with torch.inference_mode():
        before = model(inputs)
        for tensor in model.supervision.state_dict().values():
            tensor.copy_(torch.full(tensor.shape, 3.0) if tensor.is_floating_point() else tensor)
        after = model(inputs)
        model.supervision = None
        without = model(inputs)
    assert_close(after, before, rtol=0, atol=0)
    assert_close(without, before, rtol=0, atol=0)


def test_the_bank_and_the_preprocessor_are_in_no_checkpoint():
    model = lanet_classifier(samples=20)
    keys = set(model.state_dict())
    assert {key.split('.')[0] for key in keys} == {'backbone', 'head', 'supervision'}
    assert {key.split('.')[1] for key in keys if key.startswith('supervision')} == {'methods'}
    assert not any(20 in tensor.shape for tensor in model.state_dict().values())


def test_no_hook_stays_on_the_network():
    model = lanet_classifier()
    assert hooks_of(model) == 0
    train(model, steps=1)
    assert hooks_of(model) == 0
    model.eval()
    model(faces()[0])
    assert hooks_of(model) == 0


@pytest.mark.parametrize('broken', ['a part', 'the network'])
def test_no_hook_stays_when_a_step_fails(broken):
    model = lanet_classifier()
    inputs, batch = faces()
    if broken == 'a part':
        batch.landmarks = batch.landmarks[:, :5]  # the heatmap loss refuses them
        error, message = ValueError, 'defined on 68 points'
    else:
        inputs, error, message = inputs[:, :2], RuntimeError, 'expected input'
    with pytest.raises(error, match=message):
        model.loss(inputs, batch)
    assert hooks_of(model) == 0


# --- training ---


def test_a_step_gives_the_four_losses_of_la_net_in_sizes_that_make_sense():
    losses = train(lanet_classifier())
    assert set(losses) == {'cls.ce_loss', *LANET}
    assert all(value.shape == () and torch.isfinite(value) for value in losses.values())
    assert 0.2 < losses['cls.ce_loss'].item() < 5  # about log 3
    assert losses['lanet.heatmap_loss'].item() > 1  # 19 maps of 64 cells, weighed by 10 at the landmarks
    assert 0 < losses['lanet.kl_loss'].item() < 5
    assert 0 < losses['lanet.contrast_loss'].item() < 0.1 * 2 * 20  # two directions of at most 20 + log Q


def test_every_parameter_that_trains_gets_a_gradient():
    """DDP waits for all of them."""
    model = lanet_classifier()
    train(model, steps=2)
    inputs, batch = faces(6, seed=7)
    model.zero_grad(set_to_none=True)
    total(model.loss(inputs, batch)).backward()
    missing = [name for name, p in model.named_parameters() if p.requires_grad and p.grad is None]
    assert missing == []
    assert all(p.grad is None for p in model.parameters() if not p.requires_grad)
    frozen = {name.split('.twin.')[0] for name, p in model.named_parameters() if not p.requires_grad}
    assert frozen == {'supervision.methods.lanet.branches.keys'}


def test_training_lowers_the_loss_of_a_batch():
    model = lanet_classifier()
    inputs, batch = faces(6)
    optimizer = torch.optim.Adam([p for p in model.parameters() if p.requires_grad], lr=3e-3)
    history = []
    for _ in range(12):
        losses = model.train().loss(inputs, batch)
        optimizer.zero_grad()
        total(losses).backward()
        optimizer.step()
        model.supervision.commit()
        history.append({name: value.item() for name, value in losses.items()})
    for name in ('cls.ce_loss', 'lanet.heatmap_loss'):
        assert history[-1][name] < 0.8 * history[0][name]


def test_without_supervision_it_is_the_stock_classifier():
    model, plain = classifier(), stock()
    assert model.supervision is None
    plain.load_state_dict(model.state_dict(), strict=True)
    inputs, batch = faces()
    ours = model.train().loss(inputs, batch)
    theirs = plain.train().loss(inputs, list(batch))
    assert list(ours) == list(theirs) == ['loss']
    assert_close(ours['loss'], theirs['loss'], rtol=1e-5, atol=1e-6)


def test_cross_entropy_alone_is_the_stock_loss():
    model, plain = classifier(dict(cls=CE)), stock()
    plain.load_state_dict(deployed(model), strict=True)
    inputs, batch = faces()
    ours = model.train().loss(inputs, batch)
    assert_close(ours['cls.ce_loss'], plain.train().loss(inputs, list(batch))['loss'], rtol=1e-5, atol=1e-6)
    assert classifier(dict(cls=None)).supervision.methods is not None  # every method taken out


def test_a_list_of_data_samples_is_as_good_as_a_batch():
    inputs, batch = faces()
    seen = [lanet_classifier().eval().loss(inputs, samples) for samples in (batch, list(batch))]
    for name in seen[0]:
        assert_close(seen[0][name], seen[1][name])


def test_it_takes_what_the_preprocessor_gives():
    model = lanet_classifier()
    _, batch = faces(4)
    images = torch.randint(0, 256, (4, 3, 40, 40), dtype=torch.uint8)
    prepared = model.data_preprocessor({'inputs': images, 'data_samples': batch}, training=True)
    assert set(model(**prepared, mode='loss')) == {'cls.ce_loss', *LANET}


def test_a_copy_trains_on_its_own():
    """Averaged models (EMAHook) are deep copies; wiring by bound methods must follow the copy."""
    model = lanet_classifier()
    train(model, steps=1)
    twin = copy.deepcopy(model)
    before = {key: value.clone() for key, value in model.state_dict().items()}
    train(twin, steps=2, seed=3)
    for key, value in model.state_dict().items():
        assert_close(value, before[key], rtol=0, atol=0, msg=key)
    queue = 'supervision.methods.lanet.branches.keys.queue_label'
    assert int((twin.state_dict()[queue] >= 0).sum()) > int((before[queue] >= 0).sum())


# --- initialisation ---


def test_pretrained_weights_reach_both_trunks_and_the_key_encoder(tmp_path):
    source = classifier(seed=5).backbone.state_dict()
    for tensor in source.values():
        tensor.add_(1)
    torch.save(source, tmp_path / 'face.pth')
    model = lanet_classifier(seed=1)
    model.pretrained = str(tmp_path / 'face.pth')
    model.init_weights()
    branches = model.supervision.methods['lanet']['branches']
    for number, name in enumerate(('layer2', 'layer3', 'layer4')):
        for key, value in branches['landmark'].stages[number].state_dict().items():
            assert_close(value, source[f'{name}.{key}'], rtol=0, atol=0)
    for key, value in model.backbone.state_dict().items():
        assert_close(value, source[key], rtol=0, atol=0)
    branches['keys'].begin(model, faces()[0])
    for name, parameter in branches['keys'].twin['backbone'].named_parameters():
        assert_close(parameter, source[name], rtol=0, atol=0)


@pytest.mark.parametrize('init_cfg', [None, 'file'])
def test_backbones_that_bring_their_own_start_are_followed(init_cfg, tmp_path):
    """mmpretrain's own way to pretrained weights is `backbone.init_cfg=dict(type='Pretrained', ...)`."""
    source = classifier(seed=5).backbone.state_dict()
    if init_cfg == 'file':
        torch.save({'state_dict': {f'backbone.{key}': value for key, value in source.items()}}, tmp_path / 'w.pth')
        init_cfg = dict(type='Pretrained', checkpoint=str(tmp_path / 'w.pth'), prefix='backbone')
    cfg = network()
    cfg['backbone']['init_cfg'] = init_cfg
    model = FERClassifier(
        **cfg,
        data_preprocessor=dict(type='mmfer.FaceDataPreprocessor', size=32),
        supervision=dict(cls=CE, lanet=lanet()),
    )
    model.init_weights()
    stages = model.supervision.methods['lanet']['branches']['landmark'].stages
    assert all(torch.isfinite(parameter).all() for parameter in stages.parameters())
    if init_cfg:
        assert_close(model.backbone.layer3[0].conv1.weight, source['layer3.0.conv1.weight'], rtol=0, atol=0)
        assert_close(stages[1][0].conv1.weight, source['layer3.0.conv1.weight'], rtol=0, atol=0)


def test_a_head_that_does_not_take_what_the_neck_gives_is_refused_at_build():
    class Narrow(torch.nn.Module):
        out_channels = 5

    said = 'Narrow gives 5 features, but head.in_channels is 64: set model.head.in_channels=5'
    with pytest.raises(ValueError, match=said):
        FERClassifier(**{**network(), 'neck': Narrow()})


def test_mixing_images_is_refused():
    with pytest.raises(ValueError, match='mixes images, whose landmarks cannot be mixed'):
        classifier(dict(cls=CE), train_cfg=dict(augments=dict(type='Mixup', alpha=0.2)))


def test_mistakes_in_the_supervision_are_found_when_the_model_is_built():
    cfg = lanet()
    cfg['taps'] = dict(shared='backbone.layer0')
    with pytest.raises(ValueError, match='no module "backbone.layer0"; the nearest is "backbone.layer'):
        classifier(dict(lanet=cfg))
    cfg['taps'] = dict(shard='backbone.layer1')
    with pytest.raises(ValueError, match='supervision.lanet.branches.landmark needs "shared".*did you mean "shard"'):
        classifier(dict(lanet=cfg))
