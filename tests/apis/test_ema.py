"""Averaged weights: what is tested is what training evaluated."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from mmfer.apis import FacePredictor, export_deployed, read_config, train
from mmfer.apis.deployment import evaluated_state
from mmfer.evaluation import FERMetric

CONFIG = Path(__file__).parents[2] / 'configs/baseline/r18_synthfaces.py'


@pytest.fixture
def averaged(tmp_path, monkeypatch):
    """Trains with EMAHook, and gives the checkpoint and the scores of the last validation."""

    def call(**hook):
        options = {
            f'{split}_dataloader.dataset.{key}': value
            for split in ('train', 'val')
            for key, value in dict(cache_dir=None, size=32, num=40).items()
        }
        options |= {
            'train_dataloader.batch_size': 8,
            'data_preprocessor.size': 32,
            'train_cfg.max_epochs': 2,
            'model.backbone.base_channels': 8,
            'model.backbone.stem_channels': 8,
            'model.head.in_channels': 64,
            'optim_wrapper.optimizer.lr': 0.01,
            'custom_hooks': [dict(type='EMAHook', momentum=0.2, **hook)],
        }
        runner = train(read_config(CONFIG, options, tmp_path))
        metric = next(m for m in runner.val_evaluator.metrics if isinstance(m, FERMetric))
        return tmp_path / 'epoch_2.pth', np.stack([face.score for face in metric.faces])

    return call


def rows(path: Path) -> np.ndarray:
    lines = path.read_text().splitlines()[1:]
    return np.array([[float(value) for value in line.split(',')[3:]] for line in lines])


@pytest.mark.parametrize('hook', [{}, dict(update_buffers=True), dict(begin_epoch=2)], ids=str)
def test_the_averaged_weights_are_tested_as_they_were_evaluated(averaged, hook, tools, tmp_path):
    checkpoint, scores = averaged(**hook)
    for source in (checkpoint, export_deployed(checkpoint, tmp_path / 'exported.pth').path):
        tools.test([str(source), '--work-dir', str(tmp_path / 'test')])
        np.testing.assert_allclose(rows(tmp_path / 'test' / 'predictions.csv'), scores, atol=2e-6)
        last = json.loads((tmp_path / 'metrics.json').read_text())['last']
        assert json.loads((tmp_path / 'test' / 'test_metrics.json').read_text())['accuracy'] == last['accuracy']
    # The others would predict something else, or this test could not fail.
    plain = export_deployed(checkpoint, tmp_path / 'plain.pth', averaged=False).path
    tools.test([str(plain), '--work-dir', str(tmp_path / 'plain')])
    assert np.abs(rows(tmp_path / 'plain' / 'predictions.csv') - scores).max() > 1e-3
    assert FacePredictor(None, plain, device='cpu').classes == list(
        FacePredictor(None, checkpoint, device='cpu').classes
    )


def test_buffers_are_those_of_the_network_itself_unless_they_were_averaged():
    """Of several processes the network's buffers are brought together before validation, those of the average not."""
    state = {'backbone.bn.weight': torch.ones(2), 'backbone.bn.running_mean': torch.ones(2)}
    other = {f'module.{key}': torch.zeros(2) for key in state} | {'steps': torch.tensor(3)}
    content = dict(state_dict=state, ema_state_dict=other, meta={})
    for hooks, mean in (('', 0), ("[dict(type='EMAHook')]", 0), ("[dict(type='EMAHook', update_buffers=True)]", 1)):
        content['meta'] = dict(cfg=f'custom_hooks = {hooks}') if hooks else {}
        found = evaluated_state(content)
        assert found['backbone.bn.weight'].tolist() == [1, 1]
        assert found['backbone.bn.running_mean'].tolist() == [mean, mean]
    assert state['backbone.bn.running_mean'].tolist() == [1, 1]
