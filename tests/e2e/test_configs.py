"""Every config trains as it stands, and gives way to a child config and to the command line."""

import copy
import json
import math
from functools import cache
from importlib.util import find_spec
from pathlib import Path

import pytest
import torch
from e2e.clone import AUTOENCODERS, CONFIGS, DISTILLED, NARROW, PEOPLE, TEST_FACES, TRAIN_FACES, options, tiny
from mmengine.config import Config
from mmengine.registry import MODELS, DefaultScope
from torch import nn
from torch.nn.parallel import DistributedDataParallel
from torch.testing import assert_close

from mmfer.apis.export import export_deployed
from mmfer.apis.training import protocol_of

LANET, PLAIN = (f'configs/{method}/r18_synthfaces.py' for method in ('lanet', 'baseline'))
METHOD = 'model.supervision.lanet'
FACE_NETS = [config for config in CONFIGS if '/dlibface_' in config]
# With and without wrong labels they train alike: of such a pair the one with 30 % of them is trained here. Of face nets
# those whose settings are more than a ResNet-18's; tests/models/test_backbones.py trains every method on one.
FACE_NETS_TRAINED = ['configs/arm/dlibface_rafdb.py', 'configs/baseline/dlibface_rafdb.py']
TRAINED = [
    config
    for config in CONFIGS
    if not config.endswith(('_sym10.py', '_sym20.py'))
    and config.replace('.py', '_sym30.py') not in CONFIGS
    and (config not in FACE_NETS or config in FACE_NETS_TRAINED)
]
COMBINED = [config for config in TRAINED if config.startswith('configs/combined/')]


def network_of(model: Config) -> str:
    """What settings of widths can be wrong in: the deployed network, and which methods train it.

    Parts of methods see in a trial run how wide what they read is; the number of classes stays the config's own; what
    belongs to ARM's map is set anew where faces are tiny.
    """
    neck, head = dict(model.get('neck') or {}), dict(model.head, num_classes=None)
    if neck.get('type') == 'mmfer.ARM':
        neck['map_size'] = head['in_channels'] = None
    return repr((model.backbone, sorted(neck.items()), sorted(head.items()), sorted(model.get('supervision') or {})))


@cache
def wide() -> set[str]:
    """The configs that train with all of their channels: the first of each network, best one that starts from weights,
    and the first of each backbone with each kind of weights. The others have an eighth of the channels, and no weights.
    """
    models = {config: Config.fromfile(config).model for config in TRAINED}
    first: dict[str, str] = {}
    for config, model in sorted(models.items(), key=lambda item: item[1].get('pretrained') is None):
        seen = {network_of(model), repr((model.backbone, model.get('pretrained')))}
        if not seen <= first.keys():
            first |= dict.fromkeys(seen - first.keys(), config)
    return set(first.values())


def small(config: str, cfg: Config) -> dict[str, object]:
    """Options for two steps of a config, and, unless it is one of the wide ones, for an eighth of its channels."""
    if config in wide():
        return tiny(config)
    narrow = tiny(config) | NARROW | {'model.pretrained': None}
    if cfg.model.get('neck', {}).get('type') == 'mmfer.ARM':  # its width follows from the channels that it is given
        own = {'in_channels': NARROW['model.head.in_channels'], 'upscale': 8, 'map_size': 2}
        narrow |= {f'model.neck.{key}': value for key, value in own.items()}
        narrow |= {'model.head.in_channels': MODELS.build({**cfg.model.neck, **own}).out_channels}
    return narrow


def terms_of(cfg: Config) -> set[str]:
    """The losses that a config asks for, by the names under which they are reported."""
    methods = {name: method for name, method in (cfg.model.get('supervision') or {}).items() if method is not None}
    return {
        f'{name}.{loss}_loss'
        for name, method in methods.items()
        for loss, part in (method.get('losses') or {}).items()
        if part is not None
    }


def silent_terms(cfg: Config) -> set[str]:
    """The losses of weight 0, and those whose schedule begins with it."""
    methods = {name: method for name, method in (cfg.model.get('supervision') or {}).items() if method is not None}
    weights = {
        f'{name}.{loss}_loss': part.get('loss_weight')
        for name, method in methods.items()
        for loss, part in (method.get('losses') or {}).items()
        if part is not None
    }
    first = {name: weight[0][1] if isinstance(weight, list) else weight for name, weight in weights.items()}
    return {name for name, weight in first.items() if weight == 0}


def without_gradient(runner) -> list[str]:
    """Trainable weights that no loss has reached: under DDP they end a run."""
    reached = runner.optim_wrapper.optimizer.state
    named = runner.model.named_parameters()
    return [name for name, weight in named if weight.requires_grad and weight not in reached]


def test_the_glob_finds_the_configs():
    assert {LANET, PLAIN, 'configs/lanet/r18_rafdb.py', 'configs/lanet/r18_rafdb_96px_12e.py'} <= set(CONFIGS)
    assert not [config for config in CONFIGS if '_base_' in config]
    left_out = set(CONFIGS) - set(TRAINED) - set(FACE_NETS)
    others = {config.replace('_sym10', '').replace('_sym20', '') for config in left_out}
    assert {config.replace('.py', '_sym30.py') for config in others} <= set(TRAINED)
    assert len(TRAINED) > 90
    assert set(FACE_NETS_TRAINED) < set(FACE_NETS)
    assert len(FACE_NETS) == 18
    assert 15 < len(wide()) < len(TRAINED) / 2


def assert_trained(runner, cfg: Config) -> None:
    """Two iterations and a validation of what a config describes: every term is there, and reaches the weights."""
    report = json.loads(Path(runner.work_dir, 'metrics.json').read_text())
    (epoch,) = report['epochs']
    assert (runner.iter, epoch['iter'], report['faces']) == (2, 2, TEST_FACES)
    assert len(runner.train_dataloader.dataset) == TRAIN_FACES

    terms = terms_of(cfg)
    assert 'cls.ce_loss' in terms
    assert {name for name in epoch['train'] if name.endswith('_loss')} == terms
    assert all(math.isfinite(epoch['train'][name]) for name in terms)  # null is no float
    silent = {name for name in terms if epoch['train'][name] <= 0}
    if epoch['train'].get('pal.pal_loss', 0) < 0:  # a covariance, which may have either sign, but is not 0
        silent.remove('pal.pal_loss')
    assert silent == silent_terms(cfg)
    assert epoch['train']['loss'] == pytest.approx(sum(epoch['train'][name] for name in terms))

    assert without_gradient(runner) == []
    assert all(tensor.isfinite().all() for tensor in runner.model.state_dict().values())
    state = runner.optim_wrapper.optimizer.state
    assert all(state[weight]['exp_avg'].any() for weight in runner.model.backbone.parameters())

    faces = cfg.train_dataloader.dataset
    noisy = faces.get('label_noise') is not None or faces.get('observed') == 'fer2013'
    assert ('clean_label' in runner.train_dataloader.dataset.get_data_info(0)) == noisy
    assert sum(map(sum, report['confusion_matrix'])) == TEST_FACES
    assert 0 <= report['last']['accuracy'] <= 100


@pytest.mark.parametrize('config', [config for config in TRAINED if config not in COMBINED])
def test_a_config_trains_and_validates(config, trained, face_weights):
    cfg = Config.fromfile(config)
    if config in wide():
        face_weights(cfg.model)
    assert_trained(trained(config, small(config, cfg)), cfg)


@pytest.mark.parametrize('config', FACE_NETS)
def test_a_face_nets_config_differs_from_resnet18s_by_the_network_alone(config):
    mine, other = (Config.fromfile(path) for path in (config, config.replace('dlibface', 'r18')))
    if 'ferplus' not in config:  # there it is that of RAF-DB
        with DefaultScope.overwrite_default_scope('mmpretrain'):
            assert MODELS.build(copy.deepcopy(dict(mine.model, data_preprocessor=mine.data_preprocessor)))
    assert mine.model.backbone.type == 'mmfer.DlibFaceNet'
    assert mine.model.pretrained == 'dlib://face'
    assert mine.data_preprocessor.pop('size') == (other.data_preprocessor.size if '96px' in config else 150)
    other.data_preprocessor.pop('size')
    for key in ('data_preprocessor', 'train_dataloader', 'val_dataloader', 'param_scheduler', 'train_cfg'):
        assert mine[key] == other[key]
    assert mine.model.get('supervision') == other.model.get('supervision')


def stock_of(model: Config) -> nn.Module:
    """mmpretrain's own classifier with a config's backbone and neck, and its linear head in place of SCN's."""
    head = dict(type='LinearClsHead', num_classes=model.head.num_classes, in_channels=model.head.in_channels)
    cfg = dict(type='ImageClassifier', backbone=model.backbone, neck=model.neck, head=head)
    with DefaultScope.overwrite_default_scope('mmpretrain'):
        return MODELS.build(cfg).eval()


@pytest.mark.parametrize('config', COMBINED)
def test_combined_methods_train_and_their_checkpoint_serves_a_stock_classifier(config, trained, face_weights, tmp_path):
    cfg = Config.fromfile(config)
    if config in wide():
        face_weights(cfg.model)
    runner = trained(config, small(config, cfg), checkpoints=True)
    assert_trained(runner, cfg)

    checkpoint, exported = tmp_path / 'run' / 'epoch_1.pth', tmp_path / 'deployed.pth'
    parts = ('supervision', 'head.attention')  # those that hold anything: PAL has no weights
    held = {part for part in parts if any(name.startswith(f'{part}.') for name in runner.model.state_dict())}
    assert set(export_deployed(checkpoint, exported).dropped) == held
    stock, model = stock_of(runner.cfg.model), runner.model.eval()
    stock.load_state_dict(torch.load(exported, weights_only=True)['state_dict'], strict=True)
    faces = model.data_preprocessor(next(iter(runner.val_dataloader)))['inputs']
    with torch.inference_mode():
        ours, theirs = (network(faces, mode='predict') for network in (model, stock))
    assert [sample.pred_label.item() for sample in theirs] == [sample.pred_label.item() for sample in ours]
    mine, other = (torch.stack([sample.pred_score for sample in samples]) for samples in (ours, theirs))
    assert_close(other, mine, rtol=1e-5, atol=1e-6)
    assert mine.std(0).min() > 1e-5
    for path in (checkpoint, exported):  # of all configs they would be a gigabyte
        path.unlink()


@pytest.mark.parametrize('config', AUTOENCODERS)
def test_an_autoencoder_trains_and_draws(config, trained, tmp_path):
    models = [Config.fromfile(one).model for one in AUTOENCODERS]
    first = AUTOENCODERS[models.index(Config.fromfile(config).model)]
    thin = {} if config == first else {'model.channels': 4, 'model.latent_dim': 16}  # one of each kind is as it stands
    runner = trained(config, tiny(config) | thin)
    assert runner.iter == 2
    assert runner.model.steps == 2
    error, trivial = (
        runner.message_hub.get_scalar(f'val/{name}_error').current() for name in ('reconstruction', 'mean_face')
    )
    assert 0 < error < 255
    assert 0 < trivial < 255
    assert without_gradient(runner) == []
    for name in ('reconstructions.png', 'perturbations.png'):
        assert (tmp_path / 'run' / name).read_bytes().startswith(b'\x89PNG')


@pytest.mark.skipif(find_spec('face_recognition_models') is None, reason="dlib's models are not installed")
def test_a_distilled_network_is_what_a_run_starts_from(trained, tmp_path):
    narrow = {'model.backbone.base_channels': 8, 'model.backbone.stem_channels': 8}
    runner = trained(DISTILLED, tiny(DISTILLED) | narrow | {'model.in_channels': 64})
    assert runner.model.steps == runner.iter > 0
    error, trivial = (runner.message_hub.get_scalar(f'val/{name}_error').current() for name in ('embedding', 'mean'))
    assert error > 0
    assert 0.01 < trivial < 4
    weights = tmp_path / 'distilled.pth'
    torch.save(dict(state_dict=runner.model.state_dict()), weights)
    config = 'configs/baseline/r18_ferplus.py'
    run = trained(config, tiny(config) | NARROW | {'model.pretrained': weights, 'optim_wrapper.optimizer.lr': 0})
    for name, value in run.model.backbone.named_parameters():
        assert_close(value, runner.model.backbone.get_parameter(name), rtol=0, atol=0)


def test_a_network_that_knows_people_is_what_a_run_starts_from(trained, clone, tmp_path):
    """First the one command, then the other, which reads what the first has written."""
    narrow = {'model.backbone.base_channels': 8, 'model.backbone.stem_channels': 8, 'model.head.in_channels': 64}
    values = {
        'train_dataloader.dataset.num': 16,
        'train_dataloader.dataset.size': 32,
        'data_preprocessor.size': 32,
        'train_dataloader.batch_size': 8,
        'train_cfg.max_epochs': 1,
        'model.head.num_classes': 2,
    }
    runner = trained(PEOPLE, values | narrow)
    assert runner.iter == 2
    assert runner.train_dataloader.dataset.metainfo['classes'] == ('person 0', 'person 1')
    weights = tmp_path / 'people.pth'
    torch.save(dict(state_dict=runner.model.state_dict()), weights)
    config = 'configs/baseline/r18_synthfaces_sym30_40e.py'
    assert Config.fromfile(config).model.pretrained.startswith(f'work_dirs/baseline/{Path(PEOPLE).stem}/')
    run = trained(config, tiny(config) | narrow | {'model.pretrained': weights, 'optim_wrapper.optimizer.lr': 0})
    for name, value in run.model.backbone.named_parameters():
        assert_close(value, runner.model.backbone.get_parameter(name), rtol=0, atol=0)


def one_step(trained, **changes):
    """The terms of LA-Net's first iteration, from the same weights, faces and augmentations whatever is changed."""
    values = tiny(LANET, faces=8) | NARROW | {f'{METHOD}.{key}': value for key, value in changes.items()}
    runner = trained(LANET, values)
    assert runner.iter == 1
    (record,) = protocol_of(runner).records
    return {name: value for name, value in record['train'].items() if name != 'loss'}, runner


def test_a_loss_weight_from_the_command_line_weighs_that_loss_only(trained):
    full, _ = one_step(trained)
    half, _ = one_step(trained, **{'losses.kl.loss_weight': 0.5})
    assert half.pop('lanet.kl_loss') == pytest.approx(full.pop('lanet.kl_loss') / 2, rel=1e-6)
    assert half == full


def test_a_loss_that_is_none_is_out_and_the_others_stay(trained):
    full, _ = one_step(trained)
    without, _ = one_step(trained, **{'losses.contrast': None})
    assert full.pop('lanet.contrast_loss') == 0  # the queues are empty
    assert without == full


@pytest.mark.usefixtures('group')
@pytest.mark.filterwarnings('ignore:`broadcast_buffers` is deprecated:FutureWarning')  # mmfer.compat says why
@pytest.mark.filterwarnings('ignore:Grad strides do not match bucket view strides:UserWarning')  # 1x1 convolutions
@pytest.mark.parametrize(
    'parts',
    [
        [],
        ['losses.heatmap'],
        ['losses.kl'],
        ['losses.contrast'],
        ['losses.contrast', 'branches.keys'],
        ['losses.contrast', 'branches.keys', 'losses.kl', 'refiners.lde'],
    ],
    ids=lambda parts: ' '.join(parts) or 'none',
)
def test_every_ablation_trains_where_gradients_are_exchanged(trained, parts):
    values = tiny(LANET) | NARROW | {f'{METHOD}.{part}': None for part in parts}
    if 'branches.keys' in parts:
        del values[f'{METHOD}.branches.keys.queue_size']
    runner = trained(LANET, values, launcher='pytorch')
    assert isinstance(runner.model, DistributedDataParallel)
    assert runner.iter == 2
    (record,) = protocol_of(runner).records
    left = {f'lanet.{loss}_loss' for loss in ('heatmap', 'kl', 'contrast') if f'losses.{loss}' not in parts}
    assert {name for name in record['train'] if name.startswith('lanet.')} == left


def test_a_hook_of_ones_own_leaves_those_of_the_house(clone, tmp_path):
    child = tmp_path / 'child.py'
    child.write_text(f"_base_ = {str(clone / LANET)!r}\ncustom_hooks = [dict(type='EMAHook')]\n")
    house = Config.fromfile(child).default_hooks
    kinds = {'Reseed', 'SampleBank', 'NoiseReport', 'RelabelLog', 'Protocol', 'StepScalars'}
    assert {f'mmfer.{kind}Hook' for kind in kinds} <= {hook.type for hook in house.values()}


def test_a_method_that_is_none_leaves_the_plain_model(trained, tmp_path):
    def figures(config, **values):
        runner = trained(config, tiny(config) | NARROW | values)
        report = json.loads((tmp_path / 'run' / 'metrics.json').read_text())
        return report['epochs'], report['confusion_matrix'], runner.model.state_dict()

    plain = figures(PLAIN)
    values = tiny(LANET)
    assert values.pop(f'{METHOD}.branches.keys.queue_size')
    lanet = figures(LANET, **values, **{METHOD: None})
    assert lanet[:2] == plain[:2]
    assert_close(lanet[2], plain[2], rtol=0, atol=0)


def test_a_child_config_says_what_the_command_line_says(clone, train_tool, tmp_path):
    child = tmp_path / 'child.py'
    child.write_text(
        f'_base_ = {str(clone / LANET)!r}\n'
        'model = dict(supervision=dict(lanet=dict(losses=dict(kl=dict(loss_weight=.5), contrast=None))))\n'
        'train_cfg = dict(max_epochs=3)\n'
    )
    typed = options(
        {f'{METHOD}.losses.kl.loss_weight': 0.5, f'{METHOD}.losses.contrast': None, 'train_cfg.max_epochs': 3}
    )
    inherited, told, base = (
        train_tool.configure(train_tool.parse_args(arguments)).to_dict()
        for arguments in ([str(child)], [LANET, *typed], [LANET])
    )
    lanet = base['model']['supervision']['lanet']
    lanet['losses']['kl']['loss_weight'], lanet['losses']['contrast'] = 0.5, None
    base['train_cfg']['max_epochs'] = 3
    for key in ('model', 'train_cfg', 'train_dataloader', 'optim_wrapper', 'default_hooks'):
        assert inherited[key] == told[key] == base[key]
    assert inherited['work_dir'] == str(Path('work_dirs') / 'child')
