"""A checkpoint whose network has parts of another package: imported at the user's word only."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from mmengine.registry import DATASETS, HOOKS, METRICS, MODELS, TRANSFORMS

ROOT = Path(__file__).parents[3]
REGISTRY = """
from mmengine import registry as mmengine

MODELS = mmengine.Registry('model', parent=mmengine.MODELS, scope='acme_net', locations=['acme_net.parts'])
DATASETS = mmengine.Registry('dataset', parent=mmengine.DATASETS, scope='acme_net', locations=['acme_net.parts'])
"""
PARTS = """
from acme_net.registry import DATASETS, MODELS
from mmfer.datasets import SyntheticFaces
from mmpretrain.models import GlobalAveragePooling
from mmfer.models.heads import SCNHead


@MODELS.register_module()
class Pooling(GlobalAveragePooling):
    pass


@MODELS.register_module()
class Head(SCNHead):
    pass


@DATASETS.register_module()
class Faces(SyntheticFaces):
    pass
"""
CONFIG = f"""
_base_ = '{ROOT}/configs/baseline/r18_synthfaces.py'
model = dict(
    backbone=dict(base_channels=8, stem_channels=8),
    neck=dict(type='acme_net.Pooling'),
    head=dict(type='acme_net.Head', in_channels=64))
data_preprocessor = dict(size=32)
_faces = dict(type='acme_net.Faces', size=32, num=24, cache_dir=None)
train_dataloader = dict(batch_size=8, dataset=_faces)
val_dataloader = dict(dataset=_faces)
test_dataloader = val_dataloader
train_cfg = dict(max_epochs=1)
"""


def forget() -> None:
    """As in a new process."""
    for name in [name for name in sys.modules if name.split('.')[0] == 'acme_net']:
        del sys.modules[name]
    for registry in (MODELS, DATASETS, HOOKS, METRICS, TRANSFORMS):
        registry._children.pop('acme_net', None)


@pytest.fixture
def acme(tmp_path, monkeypatch):
    """The package in reach, and a checkpoint of a network with its parts."""
    package = tmp_path / 'site' / 'acme_net'
    package.mkdir(parents=True)
    for name, text in (('__init__', ''), ('registry', REGISTRY), ('parts', PARTS)):
        (package / f'{name}.py').write_text(text)
    monkeypatch.syspath_prepend(tmp_path / 'site')
    (tmp_path / 'acme.py').write_text(CONFIG)
    yield tmp_path
    forget()


@pytest.fixture
def checkpoint(acme, tools):
    tools.train([str(acme / 'acme.py'), '--work-dir', str(acme / 'run')])
    forget()
    return acme / 'run' / 'epoch_1.pth'


def refusal(checkpoint: Path, key: str, part: str) -> str:
    return (
        f"mmfer: error: {checkpoint} names 'acme_net.{part}' ({key}), a part of the package acme_net, and a checkpoint "
        'alone imports nothing but mmengine, mmpretrain, mmcv, mmfer: if you trust acme_net, say --allow acme_net, or '
        'name the config that it was trained with (tools/test.py CONFIG CHECKPOINT, tools/predict.py SOURCE --config '
        'CONFIG --checkpoint CHECKPOINT)'
    )


def test_it_is_refused_until_the_user_allows_it_or_names_the_config(checkpoint, acme, tools, capsys, run):
    face = str(run.faces / 'test_00001_aligned.jpg')
    for main, arguments in (
        (tools.test, [str(checkpoint)]),
        (tools.predict, [face, '--checkpoint', str(checkpoint)]),
    ):
        with pytest.raises(SystemExit):
            main(arguments)
        assert refusal(checkpoint, 'model.head', 'Head') in capsys.readouterr().err.splitlines()
        assert 'acme_net' not in sys.modules
        main([*arguments, '--allow', 'acme_net'])
        assert 'acme_net.parts' in sys.modules
        forget()
    last = json.loads((acme / 'run' / 'metrics.json').read_text())['last']
    figures = acme / 'run' / 'test' / 'test_metrics.json'
    assert json.loads(figures.read_text())['accuracy'] == last['accuracy']
    figures.unlink()
    tools.test([str(acme / 'acme.py'), str(checkpoint), '--work-dir', str(acme / 'run' / 'test')])
    assert json.loads(figures.read_text())['accuracy'] == last['accuracy']


def test_an_export_asks_a_head_what_only_its_training_needs_if_allowed(checkpoint, acme, tools, monkeypatch):
    told: list[str] = []
    monkeypatch.setattr('mmfer.apis.deployment.print_log', lambda text, **_: told.append(text))
    tools.export([str(checkpoint), str(acme / 'whole.pth')])
    assert 'acme_net' not in sys.modules
    assert any('the head is acme_net.Head, and acme_net was not asked' in text for text in told)
    assert 'head.attention.0.weight' in torch.load(acme / 'whole.pth', weights_only=True)['state_dict']
    told.clear()
    tools.export([str(checkpoint), str(acme / 'out.pth'), '--allow', 'acme_net'])
    assert told == []
    assert 'head.attention.0.weight' not in torch.load(acme / 'out.pth', weights_only=True)['state_dict']


def test_a_package_that_is_not_there_is_said_not_to_know_the_part(checkpoint, tools, capsys, monkeypatch):
    monkeypatch.setattr(sys, 'path', [path for path in sys.path if not path.endswith('/site')])
    with pytest.raises(SystemExit):
        tools.test([str(checkpoint), '--allow', 'acme_net'])
    assert "names 'acme_net.Head' (model.head), which is no model of mmengine" in capsys.readouterr().err


def test_a_named_config_needs_no_word(checkpoint, acme, tools, capsys):
    with pytest.raises(SystemExit):
        tools.test([str(acme / 'acme.py'), str(checkpoint), '--allow', 'acme_net'])
    assert '--allow acme_net is for a checkpoint without a config' in capsys.readouterr().err


@pytest.mark.parametrize('arguments', [['CHECKPOINT', '2'], ['CONFIG', 'CHECKPOINT', '2']])
def test_several_processes_take_either_form(arguments, tmp_path):
    """What tools/dist_test.sh hands on, by a PYTHON that prints its arguments."""
    (tmp_path / 'python').write_text('#!/bin/sh\necho "$@"\n')
    (tmp_path / 'python').chmod(0o755)
    done = subprocess.run(
        [ROOT / 'tools/dist_test.sh', *arguments, '--out', 'x.csv'],
        env={'PYTHON': str(tmp_path / 'python'), 'PATH': '/usr/bin:/bin'},
        capture_output=True,
        text=True,
        check=True,
    )
    assert '--nproc_per_node=2 ' in done.stdout
    assert done.stdout.endswith(f'/tools/test.py {" ".join(arguments[:-1])} --launcher pytorch --out x.csv\n')
