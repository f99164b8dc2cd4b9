"""mmfer.apis.analysis.inspection: a run as it was when its checkpoint was written."""

from argparse import ArgumentParser
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.registry import MODELS, DefaultScope

from mmfer.apis import export_deployed
from mmfer.apis.analysis.inspection import read_run
from mmfer.apis.config import KeyValue
from mmfer.datasets import SyntheticFaces
from mmfer.structures import FaceBatch

SYNTHETIC = Path(__file__).parents[3] / 'configs/lanet/r18_synthfaces.py'


def typed(words: list[str]) -> dict:
    """`--cfg-options` as a tool reads them."""
    parser = ArgumentParser()
    parser.add_argument('--cfg-options', nargs='+', action=KeyValue)
    return parser.parse_args(words).cfg_options


@pytest.fixture
def trained(run):
    """The run of the command-line tools' tests."""
    return read_run(run.config, run.checkpoint, typed(run.options), device='cpu')


def test_every_tensor_is_the_checkpoints(trained, run):
    expected = torch.load(run.checkpoint, weights_only=True)['state_dict']
    assert any(key.startswith('supervision.') for key in expected)
    torch.testing.assert_close(dict(trained.model.state_dict()), dict(expected), rtol=0, atol=0)
    assert not any(module.training for module in trained.model.modules())


def test_the_face_weights_need_not_be_there(run):
    other = read_run(run.config, run.checkpoint, typed(run.options) | {'model.pretrained': 'absent.pth'}, device='cpu')
    assert other.model.pretrained is None


def test_the_bank_is_the_checkpoints_and_of_these_faces(trained, run):
    expected = torch.load(run.checkpoint, weights_only=True)['sample_bank']['columns']
    assert list(trained.bank) == ['label_distribution']
    torch.testing.assert_close(trained.bank['label_distribution'], expected['label_distribution'], rtol=0, atol=0)
    assert trained.bank['label_distribution'].shape == (len(trained.dataset), 7)


def test_the_bank_of_other_labels_is_refused(run):
    noise = {'train_dataloader.dataset.label_noise': dict(kind='symmetric', rate=0.5, seed=0)}
    other = read_run(run.config, run.checkpoint, typed(run.options) | noise, device='cpu')
    with pytest.raises(ValueError, match='epoch_2.pth remembers another training set'):
        _ = other.bank


def test_pictures_are_the_files_in_rgb(trained, run):
    names = [str(trained.dataset.columns['name'][i]) for i in (3, 0)]
    pictures = trained.pictures([3, 0], size=32)  # as stored
    for name, picture in zip(names, pictures, strict=True):
        expected = cv2.cvtColor(cv2.imread(str(run.faces / name)), cv2.COLOR_BGR2RGB)
        np.testing.assert_array_equal(picture, expected)
    assert [picture.shape for picture in trained.pictures([1, 2])] == [(96, 96, 3)] * 2


def test_batches_are_what_the_network_is_tested_on(trained):
    indices = [5, 1, 7, 2, 0]
    got = list(trained.batches(indices, batch_size=2))
    assert [len(batch) for _, batch in got] == [2, 2, 1]
    assert all(isinstance(batch, FaceBatch) for _, batch in got)
    assert torch.cat([batch.sample_idx for _, batch in got]).tolist() == indices
    assert torch.cat([batch.label for _, batch in got]).tolist() == trained.dataset.get_gt_labels()[indices].tolist()
    pictures = np.stack(trained.pictures(indices, size=32)) / 255.0
    preprocessor = trained.model.data_preprocessor
    mean, std = preprocessor.mean.view(3).numpy(), preprocessor.std.view(3).numpy()
    expected = torch.from_numpy((pictures - mean) / std).permute(0, 3, 1, 2).float()
    inputs = torch.cat([inputs for inputs, _ in got])
    torch.testing.assert_close(inputs, expected, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(got[0][1].landmarks[0].numpy(), trained.dataset.columns['landmarks'][5])


def tiny_options(num: int = 12) -> dict:
    return {
        'train_dataloader.dataset.num': num,
        'train_dataloader.dataset.cache_dir': None,
        'train_dataloader.dataset.size': 32,
        'data_preprocessor.size': 32,
        'model.backbone.base_channels': 8,
        'model.backbone.stem_channels': 8,
        'model.head.in_channels': 64,
        'model.supervision.lanet.branches.keys.queue_size': 16,
    }


@pytest.fixture
def untrained(tmp_path):
    """A checkpoint without memory, of faces that live in no file."""
    cfg = Config.fromfile(SYNTHETIC)
    cfg.merge_from_dict(tiny_options())
    with DefaultScope.overwrite_default_scope('mmpretrain'):
        model = MODELS.build({**cfg.model, 'data_preprocessor': cfg.data_preprocessor})
    torch.save(dict(state_dict=model.state_dict()), tmp_path / 'untrained.pth')
    return tmp_path / 'untrained.pth'


def test_faces_in_memory_are_pictures_too(untrained):
    run = read_run(SYNTHETIC, untrained, tiny_options(), device='cpu')
    assert isinstance(run.dataset, SyntheticFaces)
    np.testing.assert_array_equal(run.pictures([4], size=32)[0], run.dataset.columns['image'][4][..., ::-1])
    ((inputs, batch),) = run.batches(range(12))
    assert inputs.shape == (12, 3, 32, 32)
    assert batch.landmark_valid.all()
    assert run.bank == {}


def test_a_missing_checkpoint_is_met_with_what_is_there(run):
    with pytest.raises(FileNotFoundError, match=r'epoch2.pth; did you mean .*epoch_2.pth'):
        read_run(run.config, run.folder / 'epoch2.pth', typed(run.options))


def test_a_missing_config_is_met_with_the_nearest(run):
    with pytest.raises(FileNotFoundError, match='there is no config'):
        read_run('r18_rafdb_96px.py', run.checkpoint)


def test_a_config_that_does_not_fit_is_named_by_its_first_tensors(run):
    options = typed(run.options) | {'model.supervision.lanet.branches.landmark.num_landmarks': 68}
    with pytest.raises(ValueError, match=r'does not fit the config .*to_heatmaps.weight is \(19, .* and \(68, '):
        read_run(run.config, run.checkpoint, options)
    options = typed(run.options) | {'model.backbone.depth': 34}
    with pytest.raises(ValueError, match='backbone.layer1.2.conv1.weight is missing; .* and .* more'):
        read_run(run.config, run.checkpoint, options)
    options = {key: value for key, value in typed(run.options).items() if 'queue_size' not in key}
    with pytest.raises(ValueError, match='supervision.methods.lanet.* is left over'):
        read_run(run.config, run.checkpoint, options | {'model.supervision.lanet': None})


def test_an_exported_checkpoint_is_told_apart(run, tmp_path):
    export_deployed(run.checkpoint, tmp_path / 'exported.pth')
    with pytest.raises(ValueError, match='exported.pth has no tensor of the supervision'):
        read_run(run.config, tmp_path / 'exported.pth', typed(run.options))


def test_a_config_without_training_data_is_refused(run, tmp_path):
    (tmp_path / 'bare.py').write_text('model = dict(type="mmfer.FERClassifier")')
    with pytest.raises(ValueError, match='bare.py has no train_dataloader'):
        read_run(tmp_path / 'bare.py', run.checkpoint)
