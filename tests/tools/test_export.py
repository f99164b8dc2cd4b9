"""tools/model_tools/export.py: only what is deployed, whole, for a stock mmpretrain."""

import copy
import hashlib
import json

import pytest
import torch
from mmengine.config import Config
from mmengine.model import ExponentialMovingAverage
from mmengine.registry import MODELS, DefaultScope
from mmpretrain.models import ImageClassifier
from scn_run import scn_run
from torch import nn

from mmfer.apis import FacePredictor, export_deployed
from mmfer.apis.checkpoints.checkpoint_file import class_names, read_checkpoint
from mmfer.apis.deployment import build_deployed, load_deployed


def stock_of(run) -> ImageClassifier:
    model = Config.fromfile(run.config).model
    cfg = dict(
        type='ImageClassifier',
        backbone=dict(model.backbone, base_channels=8, stem_channels=8),
        neck=model.neck,
        head=dict(model.head, type='LinearClsHead', in_channels=64),
    )
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
    cfg.merge_from_dict(
        {'model.backbone.base_channels': 8, 'model.backbone.stem_channels': 8, 'model.head.in_channels': 64}
    )
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


def test_a_flipped_bit_is_told_with_the_cure(run, tools, tmp_path, capsys):
    out = tmp_path / 'deployed.pth'
    tools.export([str(run.checkpoint), str(out)])
    data = bytearray(out.read_bytes())
    places = [data.rindex(b'mmfer sha256 ') + 20, len(data) // 2, 2000]
    for place in places:
        data[place] ^= 4
        out.write_bytes(data)
        data[place] ^= 4
        with pytest.raises(ValueError, match=r'deployed\.pth .*copy it again'):
            FacePredictor(None, out, device='cpu')
        for main, arguments in ((tools.predict, [str(run.faces), '--checkpoint']), (tools.test, [])):
            with pytest.raises(SystemExit):
                main([*arguments, str(out)])
            assert 'copy it again' in capsys.readouterr().err
    out.write_bytes(data)
    FacePredictor(None, out, device='cpu')
    assert [path.name for path in tmp_path.iterdir()] == ['deployed.pth']


def test_an_export_that_fails_leaves_the_one_of_before(run, tmp_path, monkeypatch):
    out = export_deployed(run.checkpoint, tmp_path / 'deployed.pth').path
    before = out.read_bytes()

    def full(stream, content):
        stream.write(content[:1000])
        raise OSError(28, 'No space left on device')

    monkeypatch.setattr('mmfer.apis.export.write_sealed', full)
    with pytest.raises(OSError, match='No space left'):
        export_deployed(run.checkpoint, out)
    assert [path.read_bytes() for path in tmp_path.iterdir()] == [before]


def test_nothing_else_is_in_the_file(run, tmp_path):
    export_deployed(run.checkpoint, tmp_path / 'deployed.pth')
    content = torch.load(tmp_path / 'deployed.pth', weights_only=True)
    assert set(content) == {'state_dict', 'meta'}
    assert set(content['meta']) == {'cfg', 'dataset_meta', 'training_faces', 'epoch', 'seed', 'mmfer_version'}
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
    average = ExponentialMovingAverage(raw, momentum=0.5)
    average.update_parameters(raw)
    for parameter in raw.parameters():
        parameter.data += 1
    average.update_parameters(raw)
    ema = copy.deepcopy(average.state_dict())
    state = {key.removeprefix('module.'): value for key, value in ema.items() if key.startswith('module.')}
    other = {
        key: raw.state_dict()[key.removeprefix('module.')] if key.startswith('module.') else value
        for key, value in ema.items()
    }
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


# --- heads with parts that only training needs ---


@pytest.fixture
def scn(tmp_path_factory):
    return scn_run(tmp_path_factory)


def test_the_importance_of_scn_is_not_deployed(scn, tools, tmp_path, capsys):
    out = tmp_path / 'deployed.pth'
    tools.export([str(scn.checkpoint), str(out)])
    assert 'tensors left out: 2 of head.attention\n' in capsys.readouterr().out
    full = torch.load(scn.checkpoint, weights_only=True)['state_dict']
    state = torch.load(out, weights_only=True)['state_dict']
    assert set(full) - set(state) == {'head.attention.0.weight', 'head.attention.0.bias'}
    stock = stock_of(scn)
    stock.load_state_dict(state, strict=True)

    cfg, faces = Config.fromfile(scn.config), torch.rand(4, 3, 32, 32)
    cfg.merge_from_dict(scn.options)
    for source in (scn.checkpoint, out):
        ours = build_deployed(cfg).eval()
        load_deployed(ours, read_checkpoint(source))
        with torch.inference_mode():
            # Not bitwise: oneDNN rounds by where in memory a weight happens to lie.
            torch.testing.assert_close(stock(faces), ours(faces), rtol=0, atol=1e-6)
    assert ours.head.attention is not None


@pytest.mark.parametrize('exported', [False, True])
def test_scn_is_tested_from_either_file(scn, exported, tools, tmp_path, capsys):
    checkpoint = scn.checkpoint
    if exported:
        checkpoint = export_deployed(scn.checkpoint, tmp_path / 'deployed.pth').path
    tools.test([scn.config, str(checkpoint), '--work-dir', str(tmp_path / 'test'), *scn.typed])
    last = json.loads((scn.folder / 'metrics.json').read_text())['last']
    tested = json.loads((tmp_path / 'test' / 'test_metrics.json').read_text())
    assert tested['accuracy'] == pytest.approx(last['accuracy'])


def config_of(head: str) -> str:
    return f"a = 1\nmodel = dict(\n    backbone=dict(type='ResNet'),\n    head=dict(num_classes=7, type='{head}'))\n"


@pytest.mark.parametrize(
    ('meta', 'kept'),
    [
        (dict(cfg=config_of('mmfer.SCNHead')), False),
        (dict(cfg=config_of('LinearClsHead')), True),
        (dict(cfg=config_of('absent.Head')), True),
        (dict(cfg='model = make()'), True),
        (dict(cfg='import os; raise SystemExit'), True),
        (dict(cfg='model ='), True),
        ({}, True),
    ],
    ids=['SCN', 'stock', 'not installed', 'no dict', 'code', 'no Python', 'no config'],
)
def test_an_attention_is_left_out_only_where_the_head_says_so(meta, kept, tmp_path):
    """Another head may need its own to predict."""
    state = {'head.fc.weight': torch.zeros(7, 4), 'head.attention.0.weight': torch.zeros(1, 4)}
    torch.save(dict(state_dict=state, meta=meta), tmp_path / 'in.pth')
    export_deployed(tmp_path / 'in.pth', tmp_path / 'out.pth')
    found = torch.load(tmp_path / 'out.pth', weights_only=True)['state_dict']
    assert set(found) == {'head.fc.weight', *(['head.attention.0.weight'] if kept else [])}


def test_classes_have_names_as_many_as_scores_or_numbers():
    named = dict(meta=dict(dataset_meta=dict(classes=('a', 'b'))))
    assert class_names(named, 2) == ['a', 'b']
    assert class_names({}, 2) == class_names(dict(meta=dict(dataset_meta=dict(classes=5))), 2) == ['class0', 'class1']
    with pytest.raises(ValueError, match=r'names 2 classes \(a, b, ...\), its network scores 3'):
        class_names(named, 3)
