"""tools/model_tools/export.py: only what is deployed, whole, for a stock mmpretrain."""

import copy
import hashlib

import pytest
import torch
from mmengine.config import Config
from mmengine.model import ExponentialMovingAverage
from mmengine.registry import MODELS, DefaultScope
from mmpretrain.models import ImageClassifier
from torch import nn

from mmfer.apis import export_deployed
from mmfer.apis.deployment import build_deployed, load_deployed, read_checkpoint


def stock_of(run) -> ImageClassifier:
    model = Config.fromfile(run.config).model
    cfg = dict(type='ImageClassifier', backbone=dict(model.backbone, base_channels=8, stem_channels=8),
               neck=model.neck, head=dict(model.head, in_channels=64))
    with DefaultScope.overwrite_default_scope('mmpretrain'):
        return MODELS.build(cfg).eval()


def test_the_export_loads_strictly_into_a_stock_classifier_and_predicts_the_same(run, tools, tmp_path, capsys):
    out = tmp_path / 'new' / 'deployed.pth'
    tools.export([str(run.checkpoint), str(out)])
    said = capsys.readouterr().out
    content = torch.load(out, weights_only=True)
    stock = stock_of(run)
    stock.load_state_dict(content['state_dict'], strict=True)

    full = torch.load(run.checkpoint, weights_only=True)['state_dict']
    assert any(key.startswith('supervision.') for key in full)
    for key, value in content['state_dict'].items():
        torch.testing.assert_close(value, full[key], rtol=0, atol=0)
    cfg = Config.fromfile(run.config)
    cfg.merge_from_dict({'model.backbone.base_channels': 8, 'model.backbone.stem_channels': 8,
                         'model.head.in_channels': 64})
    ours = build_deployed(cfg).eval()
    load_deployed(ours, read_checkpoint(run.checkpoint))
    faces = torch.rand(4, 3, 32, 32)
    with torch.inference_mode():
        # Not bitwise: oneDNN rounds by where in memory a weight happens to lie.
        torch.testing.assert_close(stock(faces), ours(faces), rtol=0, atol=1e-6)

    count = sum(parameter.numel() for parameter in stock.parameters())
    assert f'{count:,} parameters' in said
    assert hashlib.sha256(out.read_bytes()).hexdigest() in said
    dropped = sum(key.startswith('supervision.') for key in full)
    assert f'tensors left out: {dropped} of supervision' in said


def test_nothing_else_is_in_the_file(run, tmp_path):
    export_deployed(run.checkpoint, tmp_path / 'deployed.pth')
    content = torch.load(tmp_path / 'deployed.pth', weights_only=True)
    assert set(content) == {'state_dict', 'meta'}
    assert set(content['meta']) == {'dataset_meta', 'epoch', 'seed', 'mmfer_version'}
    assert len(content['meta']['dataset_meta']['classes']) == 7
    size = sum(value.numel() * value.element_size() for value in content['state_dict'].values())
    assert (tmp_path / 'deployed.pth').stat().st_size < size + 60_000
    assert (tmp_path / 'deployed.pth').stat().st_size < run.checkpoint.stat().st_size / 3


class Tiny(nn.Module):
    def __init__(self):
        super().__init__()
        self.backbone, self.head = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4)), nn.Linear(4, 7)


@pytest.fixture
def averaged(tmp_path):
    """A checkpoint as mmengine's EMAHook writes it: averaged weights in state_dict, the others beside it."""
    raw = Tiny()
    average = ExponentialMovingAverage(raw, momentum=.5)
    average.update_parameters(raw)
    for parameter in raw.parameters():
        parameter.data += 1
    average.update_parameters(raw)
    ema = copy.deepcopy(average.state_dict())
    state = {key.removeprefix('module.'): value for key, value in ema.items() if key.startswith('module.')}
    other = {key: raw.state_dict()[key.removeprefix('module.')] if key.startswith('module.') else value
             for key, value in ema.items()}
    torch.save(dict(state_dict=state, ema_state_dict=other), tmp_path / 'ema.pth')
    return tmp_path / 'ema.pth', average.module.state_dict(), raw.state_dict()


@pytest.mark.parametrize(('switch', 'which'), [([], 1), (['--ema'], 1), (['--no-ema'], 2)])
def test_averaged_weights_are_those_that_were_validated(switch, which, averaged, tools, tmp_path, capsys):
    tools.export([str(averaged[0]), str(tmp_path / 'out.pth'), *switch])
    state = torch.load(tmp_path / 'out.pth', weights_only=True)['state_dict']
    assert set(state) == set(averaged[which])
    assert not torch.equal(averaged[1]['head.weight'], averaged[2]['head.weight'])
    for key, value in state.items():
        torch.testing.assert_close(value, averaged[which][key], rtol=0, atol=0)
    said = capsys.readouterr().out
    assert ('averaged (EMA)' in said) == (which == 1)
    assert f'{4 * 27 + 4 + 8 + 35} parameters' in said  # the buffers of the batch norm are none


def test_insisting_on_averages_that_are_not_there_is_an_error(run, tools, tmp_path, capsys):
    with pytest.raises(SystemExit):
        tools.export([str(run.checkpoint), str(tmp_path / 'out.pth'), '--ema'])
    assert 'has no averaged (EMA) weights' in capsys.readouterr().err
    assert not (tmp_path / 'out.pth').exists()


def test_the_checkpoint_is_never_overwritten(run):
    before = run.checkpoint.read_bytes()
    with pytest.raises(ValueError, match='give the export another name'):
        export_deployed(run.checkpoint, run.checkpoint)
    assert run.checkpoint.read_bytes() == before
