"""The configs named after a paper have the setting that is known of it (docs/methods)."""

import math
from pathlib import Path

import pytest
from mmengine.config import Config

from mmfer.registry import MODELS

CONFIGS = Path(__file__).parents[1] / 'configs'
IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))


def setting(name: str) -> Config:
    return Config.fromfile(CONFIGS / name)


@pytest.mark.parametrize(('name', 'erased', 'batch'), [('scn', 0.25, 64), ('arm', 0.1, 256)])
def test_scn_and_arm_train_as_their_code_does(name, erased, batch):
    cfg = setting(f'{name}/r18_rafdb.py')
    images = cfg.data_preprocessor
    assert (images.mean, images.std, images.size) == (*IMAGENET, 224)
    ((either,), (erasing,)) = images.augment, images.augment_normalized
    flip, noise = either.transforms
    assert (either.type, either.p, flip.type, noise.type) == (
        'OneOf',
        0.5,
        'RandomHorizontalFlip',
        'RandomGaussianNoise',
    )
    assert (noise.mean, noise.std) == (0, pytest.approx(math.sqrt(30) / 255))
    assert (erasing.type, erasing.p, erasing.scale) == ('RandomErasing', 0.5, (0.02, erased))
    assert cfg.train_dataloader.batch_size == batch
    assert cfg.optim_wrapper.optimizer == dict(type='Adam', lr=1e-3, weight_decay=1e-4)
    assert cfg.param_scheduler == dict(type='ExponentialLR', gamma=0.9, by_epoch=True)
    assert cfg.train_cfg.max_epochs == 70


@pytest.mark.parametrize('name', ['scn/r18_rafdb.py', 'arm/r18_rafdb.py'])
def test_heads_of_scn_and_arm_start_as_torchs_linear_layers_do(name):
    """Uniform up to 1 / sqrt(D), where mmpretrain draws from N(0, .01)."""
    cfg = setting(name)
    head = MODELS.build({**cfg.model.head, 'type': cfg.model.head.type.replace('Linear', 'mmpretrain.Linear')})
    head.init_weights()
    bound = cfg.model.head.in_channels**-0.5
    for layer in (head.fc, *getattr(head, 'attention', [])[:1]):
        assert 0.9 * bound < layer.weight.abs().max() <= bound
        assert layer.bias.abs().max() > 0


def test_lanet_trains_as_its_code_does():
    cfg = setting('lanet/r18_rafdb.py')
    assert cfg.data_preprocessor.mean == (0.5412, 0.4324, 0.3795)
    assert cfg.data_preprocessor.std == (0.2485, 0.2182, 0.2066)
    assert cfg.train_dataloader.batch_size == 128
    assert cfg.train_dataloader.sampler.type == 'mmfer.ProgressiveSampler'
    assert cfg.optim_wrapper.optimizer == dict(type='Adam', lr=1e-3, weight_decay=0)
    assert (cfg.param_scheduler.type, cfg.param_scheduler.end_factor, cfg.train_cfg.max_epochs) == ('LinearLR', 0, 80)


def test_a_network_that_starts_from_imagenet_gets_imagenets_mean_and_std():
    found = 0
    for path in sorted(CONFIGS.glob('*/*.py')):
        if path.parent.name != '_base_' and 'torchvision://' in str((cfg := setting(path)).model.get('pretrained')):
            assert (cfg.data_preprocessor.mean, cfg.data_preprocessor.std) == IMAGENET, path
            found += 1
    assert found
