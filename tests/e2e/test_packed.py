"""Training on packed images is training on the images, to the bit."""

import pytest
from e2e.clone import NARROW, options, tiny
from e2e.test_resume import content, differences
from mmengine.config import Config
from mmengine.device import get_device

from mmfer.apis.data.packing import pack

pytestmark = pytest.mark.skipif(get_device() != 'cpu', reason='GPUs do not add in a fixed order')

# Noisy labels, landmarks, memory per sample; LoadFace makes 24 of 32 pixels.
CONFIG = 'configs/lanet/r18_rafdb_96px_12e_sym30.py'
SIZE = {f'{split}_dataloader.dataset.pipeline.0.size': 24 for split in ('train', 'val')}
VALUES = tiny(CONFIG) | NARROW | SIZE | {'train_cfg.max_epochs': 2, 'default_hooks.checkpoint.max_keep_ckpts': -1}


@pytest.fixture
def train(clone, train_tool, tmp_path):
    """Trains two epochs, and gives what the last checkpoint holds."""

    def run(name, *more, **values):
        train_tool.main([CONFIG, '--work-dir', str(tmp_path / name), *more, *options(VALUES | values)])
        return content(tmp_path / name / 'epoch_2.pth')

    return run


def test_two_epochs_packed_unpacked_and_changed_over_in_between_end_alike(train, tmp_path):
    cfg = Config.fromfile(CONFIG)
    cfg.merge_from_dict(VALUES)
    pack(cfg, tmp_path / 'faces.pack', ['train', 'val'])
    packed = {f'{split}_dataloader.dataset.packed': tmp_path / 'faces.pack' for split in ('train', 'val')}
    plain = train('plain')
    assert differences(train('packed', **packed), plain) == []
    resumed = train('resumed', '--resume', str(tmp_path / 'plain' / 'epoch_1.pth'), **packed)
    assert differences(resumed, plain) == []
    first = content(tmp_path / 'plain' / 'epoch_1.pth')
    assert {'/state_dict/backbone.conv1.weight', '/sample_bank/columns/label_distribution'} <= set(
        differences(plain, first)
    )
