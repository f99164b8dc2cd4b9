"""A checkpoint alone is tested and predicted with, and nothing that it says is run, imported, fetched or written."""

import json
import sys
from pathlib import Path

import pytest
import torch
from mmengine.registry import DATASETS, MODELS

from mmfer.apis import FacePredictor, export_deployed
from mmfer.apis.checkpoints.checkpoint_config import checkpoint_config, evaluated_in_training
from mmfer.apis.checkpoints.checkpoint_file import read_checkpoint
from mmfer.apis.checkpoints.stored_config import find_part, stored_config

CONFIG = """
default_scope = 'mmpretrain'
custom_imports = dict(imports=['evil'], allow_failed_imports=False)
custom_hooks = [dict(type='evil.Hook')]
work_dir = '/tmp/evil'
model = dict(
    type='mmfer.FERClassifier',
    pretrained='http://evil/x.pth',
    backbone=dict(type='ResNet', depth=18, init_cfg=dict(type='Pretrained', checkpoint='http://evil/x.pth')),
    neck=dict(type='GlobalAveragePooling'),
    head=dict(type='LinearClsHead', num_classes=7, in_channels=512),
    supervision=dict(evil=dict(losses=dict(evil=dict(type='evil.Loss')))))
data_preprocessor = dict(type='mmfer.FaceDataPreprocessor', size=32, augment=[dict(type='evil.Flip')])
val_dataloader = dict(
    batch_size=4,
    sampler=dict(type='evil.Sampler'),
    dataset=dict(
        type='mmfer.SyntheticFaces', split='test', num=3, size=32, cache_dir='/tmp/evil', landmarks='evil.npz',
        metainfo=dict(classes='rafdb', more='http://evil/x.txt'),
        pipeline=[dict(type='mmfer.LoadFace'), dict(type='mmfer.PackFace')]))
val_evaluator = dict(type='DumpResults', out_file_path='/tmp/evil/x.pkl')
test_dataloader = dict(dataset=dict(type='mmfer.SyntheticFaces', split='test', num=9, size=32))
visualizer = dict(type='evil.Visualizer')
"""


def content_of(config: str) -> dict:
    return dict(meta=dict(cfg=config), state_dict={})


def last_of(folder: Path) -> dict:
    return json.loads((folder / 'metrics.json').read_text())['last']


def figures(folder: Path) -> dict:
    return json.loads((folder / 'test_metrics.json').read_text())


# --- a checkpoint alone ---


@pytest.mark.parametrize('exported', [False, True])
def test_it_scores_what_trainings_last_evaluation_did_to_the_digit(run, tools, exported, tmp_path, capsys):
    checkpoint = run.checkpoint
    if exported:
        checkpoint = export_deployed(run.checkpoint, tmp_path / 'exported.pth').path
    tools.test([str(checkpoint), '--work-dir', str(tmp_path / 'test')])
    last = last_of(run.folder)
    of_training = ('epoch', 'never_drawn')
    assert {name: figures(tmp_path / 'test')[name] for name in last if name not in of_training} == {
        name: value for name, value in last.items() if name not in of_training
    }
    said = capsys.readouterr().out
    assert said.endswith(f'next: python tools/predict.py IMAGE_OR_FOLDER --checkpoint {checkpoint}\n')


def test_it_writes_beside_the_checkpoint(run, tools, tmp_path):
    checkpoint = export_deployed(run.checkpoint, tmp_path / 'exported.pth').path
    tools.test([str(checkpoint)])
    assert (tmp_path / 'test' / 'confusion_matrix.png').is_file()
    tools.predict([str(run.faces / 'test_00001_aligned.jpg'), '--checkpoint', str(checkpoint)])
    assert (tmp_path / 'predictions' / 'predictions.csv').is_file()


def test_it_tests_on_the_faces_that_training_evaluated(tools, tmp_path):
    """Although an option of training changed these, and not the test data of the config."""
    config = Path(__file__).parents[3] / 'configs/baseline/r18_synthfaces.py'
    narrow = ['model.backbone.base_channels=8', 'model.backbone.stem_channels=8', 'model.head.in_channels=64']
    few = [f'{split}_dataloader.dataset.{key}' for split in ('train', 'val') for key in ('cache_dir=None', 'size=32')]
    options = [*narrow, *few, 'train_dataloader.dataset.num=64', 'val_dataloader.dataset.num=23']
    options += ['data_preprocessor.size=32', 'train_cfg.max_epochs=1']
    tools.train([str(config), '--work-dir', str(tmp_path), '--cfg-options', *options])
    tools.test([str(tmp_path / 'epoch_1.pth')])
    assert figures(tmp_path / 'test')['faces'] == 23
    assert figures(tmp_path / 'test')['accuracy'] == last_of(tmp_path)['accuracy']
    tools.test([str(tmp_path / 'epoch_1.pth'), '--cfg-options', 'test_dataloader.dataset.num=11'])
    assert figures(tmp_path / 'test')['faces'] == 11


def test_a_predictor_needs_a_checkpoint_only(run, tools, tmp_path):
    exported = export_deployed(run.checkpoint, tmp_path / 'exported.pth').path
    predictor = FacePredictor(None, exported, device='cpu')
    assert predictor.classes[3] == 'happiness'
    assert predictor.model.data_preprocessor.size == (32, 32)  # an option of training
    assert predictor.pipeline.transforms[0].size == (32, 32)


@pytest.mark.parametrize(
    ('val', 'test', 'same'),
    [
        ("type='mmfer.RAFDB', split='test', indices=5, data_root='a'", "type='mmfer.RAFDB', split='test'", True),
        ("type='mmfer.RAFDB', split='val', holdout=dict(fraction=.1)", "type='mmfer.RAFDB', split='test'", False),
        ("type='mmfer.RAFDB', split='test'", "type='mmfer.FERPlus', split='test'", False),
        ("type='mmfer.FolderFaces', data_root='a'", "type='mmfer.FolderFaces', data_root='b'", False),
    ],
    ids=['fewer of the same', 'held out', 'another dataset', 'another folder'],
)
def test_other_test_data_than_those_of_training_stay(val, test, same):
    stored = stored_config(
        content_of(f'val_dataloader = dict(dataset=dict({val}))\ntest_dataloader = dict(dataset=dict({test}))')
    )
    assert evaluated_in_training(stored) == same


def test_a_config_alone_is_told_apart(run, tools, stops):
    assert stops(tools.test, [run.config]).endswith('r18_rafdb_96px_12e.py is a config: name the checkpoint, too')


def test_files_in_the_wrong_order_are_told_apart(run, tools, stops):
    line = stops(tools.test, [run.checkpoint, run.config])
    assert line.endswith('epoch_2.pth is no config: give the config first, then the checkpoint')


def test_options_stand_between_the_files_too(run, tools, tmp_path):
    tools.test([run.config, '--work-dir', str(tmp_path), str(run.checkpoint), *run.options])
    assert figures(tmp_path)['accuracy'] == last_of(run.folder)['accuracy']


def test_options_of_training_are_met_with_what_is_read(run, tools, stops):
    line = stops(tools.test, [run.checkpoint, '--cfg-options', 'val_dataloader.dataset.indices=3'])
    assert line.endswith('is read for testing only; did you mean test_dataloader.dataset.indices?')


# --- without what is needed ---


@pytest.mark.parametrize('text', [None, 'model =', 'model = make()', 'a = 1', '(' * 5000])
def test_a_checkpoint_without_a_config_says_to_name_it(run, tools, stops, tmp_path, text):
    old = torch.load(run.checkpoint, weights_only=True)
    torch.save(dict(state_dict=old['state_dict'], meta={} if text is None else dict(cfg=text)), tmp_path / 'old.pth')
    for main, arguments in ((tools.test, []), (tools.predict, [run.faces, '--checkpoint'])):
        line = stops(main, [*arguments, tmp_path / 'old.pth'])
        assert 'old.pth does not carry the config that it was trained with' in line
        assert 'name the config that it was trained with (tools/test.py CONFIG CHECKPOINT' in line
    tools.test([run.config, str(tmp_path / 'old.pth'), '--work-dir', str(tmp_path / 'test'), *run.options])
    assert figures(tmp_path / 'test')['accuracy'] == last_of(run.folder)['accuracy']


# --- what others wrote ---


@pytest.fixture
def evil(tmp_path, monkeypatch):
    """A package in reach that says when it is imported."""
    for name in ('evil', 'Evil'):
        (tmp_path / name).mkdir()
        for module in ('__init__', 'registry'):
            (tmp_path / name / f'{module}.py').write_text(f'raise SystemExit("{name}.{module} was imported")')
    monkeypatch.syspath_prepend(tmp_path)
    yield
    assert not {'evil', 'Evil'} & sys.modules.keys()


@pytest.mark.usefixtures('evil')
def test_only_network_preprocessing_and_data_are_taken():
    cfg = checkpoint_config(content_of(CONFIG), 'x.pth').to_dict()
    assert 'http' not in str(cfg)
    assert 'evil' not in str(cfg)
    assert cfg['test_dataloader']['dataset']['num'] == 3
    assert cfg['test_dataloader']['dataset']['metainfo'] == dict(classes='rafdb')
    assert cfg['test_dataloader']['sampler'] == dict(type='DefaultSampler', shuffle=False)
    assert cfg['test_evaluator'] == dict(type='mmfer.FERMetric')
    assert cfg['data_preprocessor'] == dict(type='mmfer.FaceDataPreprocessor', size=32)
    assert cfg['model']['backbone'] == dict(type='ResNet', depth=18)


@pytest.mark.usefixtures('evil')
@pytest.mark.parametrize(
    ('old', 'new', 'names'),
    [
        ("type='mmfer.FERClassifier'", "type='evil.Net'", ("'evil.Net' (model)", '--allow evil')),
        ("type='mmfer.FERClassifier'", "type='evil.a.Net'", ("'evil.a.Net'", '--allow evil')),
        ("type='mmfer.FERClassifier'", "type='Evil'", ("'Evil' (model), which is no model of mmengine",)),
        ("type='mmfer.FERClassifier'", "type='mmfer.os.system'", ("'mmfer.os.system'", 'no model of')),
        ("type='mmfer.FERClassifier'", "type=['evil']", ("['evil']", 'no model of')),
        ("type='ResNet'", "type='os.system'", ('model.backbone', '--allow os')),
        ("type='ResNet'", "type='torch.hub.load'", ('model.backbone', '--allow torch')),
        ("type='ResNet'", "type='mmengine.runner.Runner'", ('model.backbone', 'no model of')),
        ("dict(type='mmfer.PackFace')", "dict(type='mmengine.fileio.load')", ('pipeline.1', 'no transform of')),
        ("type='mmfer.SyntheticFaces', split", "type='mmengine.load', split", ('val_dataloader.dataset', 'no dataset')),
        ("type='mmfer.FERClassifier'", "type='BaseTTAModel'", ('holds a BaseTTAModel', 'no ImageClassifier')),
        ("type='ResNet'", "type='ResNet', _scope_='evil'", ('_scope_', '--allow evil')),
        ("type='ResNet'", "type='ResNet', norm_cfg=dict(type='evil.BN')", ('model.backbone.norm_cfg', '--allow evil')),
        (
            "type='ResNet'",
            "type='TIMMBackbone', checkpoint_path='/tmp/x.pth'",
            ('checkpoint_path', 'a file, an address'),
        ),
        ("type='ResNet'", "type='TIMMBackbone', checkpoint_path='x.pth'", ('checkpoint_path', 'a file, an address')),
        ("type='ResNet'", "type='TIMMBackbone', norm_layer='Evil'", ("'Evil' (model.backbone.norm_layer)", 'no model')),
        ("type='ResNet'", "type='TIMMBackbone', norm_layer='evil.BN'", ('norm_layer', '--allow evil')),
        ("type='ResNet'", "type='ResNet', style='evil.run'", ("style='evil.run'", 'a file, an address or code')),
        ("type='ResNet'", "type='HuggingFaceClassifier', model_name='evil'", ('HuggingFace', 'may run what')),
        ("type='ResNet'", "type='BlipVQA', tokenizer='evil'", ('BlipVQA', 'may run what')),
        (
            "dict(type='mmfer.PackFace')",
            "dict(type='torchvision/ConvertImageDtype', dtype='float+__import__(str())')",
            ('pipeline.1.dtype', 'or code'),
        ),
        (
            "dict(type='mmfer.PackFace')",
            "dict(type='LoadImageFromFile', backend_args=dict(backend='memcached', sys_path='evil'))",
            ('pipeline.1.backend_args', 'how files are opened'),
        ),
        ("default_scope = 'mmpretrain'", "default_scope = 'evil'", ('default_scope', '--allow evil')),
        ("type='mmfer.FaceDataPreprocessor'", "type='evil.P'", ('data_preprocessor', '--allow evil')),
        ("dict(type='mmfer.PackFace')", "dict(type='evil.T')", ('pipeline.1', '--allow evil')),
        ("dict(type='mmfer.PackFace')", "dict(type='Evil')", ('pipeline.1', 'no transform of')),
        ("type='mmfer.SyntheticFaces', split", "type='evil.D', split", ('val_dataloader.dataset', '--allow evil')),
        (
            "type='mmfer.SyntheticFaces', split",
            "type='CustomDataset', ann_file='http://x/x.pkl', split",
            ('CustomDataset', 'none of the datasets of mmfer', 'name the config'),
        ),
        ('batch_size=4,', "batch_size=4, collate_fn=dict(type='evil.f'),", ('collate_fn', '--allow evil')),
    ],
)
def test_parts_of_others_and_files_are_refused(old, new, names):
    assert old in CONFIG
    with pytest.raises(ValueError, match='x.pth') as caught:
        checkpoint_config(content_of(CONFIG.replace(old, new)), 'x.pth')
    for name in (*names, 'name the config that it was trained with'):
        assert name in str(caught.value)


def test_the_name_of_a_file_that_is_here_is_no_word(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    content = content_of(CONFIG.replace("type='ResNet'", "type='ResNet', style='weights'"))
    checkpoint_config(content, 'x.pth')
    Path('weights').write_bytes(b'')
    with pytest.raises(ValueError, match="a file, an address or code \\(model.backbone.style='weights'\\)"):
        checkpoint_config(content, 'x.pth')


@pytest.mark.parametrize(
    'settings',
    [
        "type='RegNet', arch='regnetx_1.6gf'",
        "type='EfficientNet', arch='b0'",
        "type='TIMMBackbone', model_name='vit_tiny_patch16_224.augreg_in21k'",
        "type='ResNet', style='pytorch', norm_cfg=dict(type='BN')",
    ],
)
def test_words_of_settings_stay(settings):
    cfg = checkpoint_config(content_of(CONFIG.replace("type='ResNet', depth=18", settings)), 'x.pth').to_dict()
    assert cfg['model']['backbone'] == eval(f'dict({settings})')


@pytest.mark.usefixtures('evil')
@pytest.mark.parametrize(
    'kind', ['evil.Head', 'Evil', 'os.system', 'torch.hub.load', 'mmengine.runner.Runner', 'mmfer.x']
)
def test_an_export_imports_nothing(kind, run, tmp_path):
    content = torch.load(run.checkpoint, weights_only=True)
    content['meta']['cfg'] = f"model = dict(backbone=dict(type='{kind}'), neck=dict(type='{kind}'))"
    torch.save(content, tmp_path / 'other.pth')
    before = set(sys.modules)
    export_deployed(tmp_path / 'other.pth', tmp_path / 'exported.pth')
    assert set(sys.modules) == before


@pytest.mark.usefixtures('evil')
@pytest.mark.parametrize(
    'config',
    [
        "model = 3\nval_dataloader = 'x'",
        "model = dict(type='ImageClassifier')\nval_dataloader = dict(dataset=3)",
        "model = dict(type='ImageClassifier')\ntest_dataloader = dict(dataset=dict(type='mmfer.RAFDB', pipeline=3))",
        "model = dict(type='ImageClassifier')\nval_dataloader = dict()",
        "model = dict(type='ImageClassifier')\nval_dataloader = dict(dataset=[])\nval_cfg = 3\ndefault_scope = 3",
        "model = dict(type='ImageClassifier')\nval_dataloader = dict(dataset=dict(type=dict()))",
    ],
)
@pytest.mark.parametrize('data', [True, False])
def test_what_is_no_config_of_a_classifier_says_to_name_one(config, data):
    with pytest.raises(ValueError, match='x.pth.* name the config that it was trained with'):
        checkpoint_config(content_of(config), 'x.pth', data=data)


@pytest.mark.usefixtures('evil')
@pytest.mark.parametrize('name', ['evil.Head', 'Evil', 'evil', 'evil.registry.Head', 5, None, 'mmengine.Evil'])
def test_a_name_is_looked_up_and_never_imported(name):
    assert find_part(MODELS, name) is None


def test_a_known_name_is_found_with_or_without_its_scope():
    assert find_part(MODELS, 'mmfer.ARM') is MODELS.get('mmfer.ARM')
    assert find_part(MODELS, 'ResNet') is find_part(MODELS, 'mmpretrain.ResNet')
    assert find_part(MODELS, 'BN') is torch.nn.BatchNorm2d  # of mmcv, in MMEngine's own registry
    assert find_part(DATASETS, 'mmfer.RAFDB') is DATASETS.get('mmfer.RAFDB')


def test_a_stored_config_is_what_was_written(run):
    stored = stored_config(read_checkpoint(run.checkpoint))
    assert stored['model']['backbone']['base_channels'] == 8
    assert stored['data_preprocessor']['mean'] == (0.5412, 0.4324, 0.3795)
    text = "a = dict({'x-y': (1, -2.5, float('inf'))})\nb = [inf, None]\nc = dict(d=os.system('x'))\nd += 1\nimport os"
    assert stored_config(content_of(text)) == dict(b=[float('inf'), None])
