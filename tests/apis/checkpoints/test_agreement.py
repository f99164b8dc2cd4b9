"""A config that would change a checkpoint's predictions is refused, by name, and with --force warned of."""

import json
from argparse import ArgumentParser

import pytest
import torch
from mmengine.config import Config
from mmengine.config import config as mmengine_config
from tools.conftest import ROOT, load_tool

from mmfer.apis import export_deployed, read_config
from mmfer.apis.analysis.attributions import show_attributions
from mmfer.apis.analysis.inspection import read_run
from mmfer.apis.checkpoints.agreement import check_agreement
from mmfer.apis.checkpoints.checkpoint_config import checkpoint_config
from mmfer.apis.checkpoints.checkpoint_file import read_checkpoint
from mmfer.apis.config import KeyValue
from mmfer.apis.data.noise import confused_manifest
from mmfer.datasets.labels.schema import ORDERS

DIFFERENCES = [
    ('data_preprocessor.size=48', 'data_preprocessor.size is 48 and was 32'),
    ('data_preprocessor.mean=[0,0,1]', 'data_preprocessor.mean is [0, 0, 1] and was (0.5412, 0.4324, 0.3795)'),
    ('data_preprocessor.std=[1,1,1]', 'data_preprocessor.std is [1, 1, 1] and was (0.2485, 0.2182, 0.2066)'),
    ('data_preprocessor.to_rgb=False', 'data_preprocessor.to_rgb is False and was True'),
    ('{split}_dataloader.dataset.pipeline.0.size=16', '{split}_dataloader.dataset.pipeline.0.size is 16 and was 32'),
    (
        '{split}_dataloader.dataset.pipeline.1.type=PackInputs',
        '{split}_dataloader.dataset.pipeline is mmfer.LoadFace, PackInputs and was mmfer.LoadFace, mmfer.PackFace',
    ),
    ('model.backbone.style=caffe', "model.backbone.style is 'caffe' and was 'pytorch'"),
    (
        '{split}_dataloader.dataset.metainfo.classes=affectnet7',
        '{split}_dataloader.dataset counts the classes neutral, happiness, sadness, surprise, fear, disgust, anger, '
        'training surprise, fear, disgust, happiness, sadness, anger, neutral',
    ),
]  # fmt: skip


def options_of(run) -> dict:
    """The options of training as a tool reads them."""
    parser = ArgumentParser()
    parser.add_argument('--cfg-options', nargs='+', action=KeyValue)
    return parser.parse_args(run.options).cfg_options


def accuracy(folder) -> float:
    return json.loads((folder / 'test_metrics.json').read_text())['accuracy']


@pytest.fixture
def told(monkeypatch) -> list[str]:
    """What is said beside an evaluation."""
    lines: list[str] = []
    monkeypatch.setattr('mmfer.apis.checkpoints.agreement.print_log', lambda text, **_: lines.append(text))
    return lines


@pytest.mark.parametrize(('option', 'sentence'), DIFFERENCES)
def test_what_differs_is_named_with_the_cure(run, tools, stops, option, sentence, tmp_path):
    option, sentence = option.format(split='test'), sentence.format(split='test')
    for checkpoint in (run.checkpoint, export_deployed(run.checkpoint, tmp_path / 'exported.pth').path):
        line = stops(tools.test, [run.config, checkpoint, '--work-dir', tmp_path, *run.options, option])
        assert (
            f'differs from what {checkpoint} was trained with: {sentence}: name the config and the --cfg-options'
            in line
        )
        assert line.endswith(', or go on all the same with --force')
    line = stops(tools.predict, [run.faces, '--config', run.config, '--checkpoint', checkpoint, *run.options, option])
    assert sentence in line


@pytest.mark.parametrize(('option', 'sentence'), DIFFERENCES)
def test_what_looks_at_a_run_compares_its_training_set(run, stops, option, sentence):
    main = load_tool('analysis_tools/neighbours').main
    line = stops(main, [run.config, run.checkpoint, *run.options, option.format(split='train')])
    assert f'was trained with: {sentence.format(split="train")}: ' in line


@pytest.mark.parametrize('tool', ['attribution', 'importance', 'noise_report', 'relabels'])
def test_so_do_the_other_tools(run, stops, tool):
    main = load_tool(f'analysis_tools/{tool}').main
    line = stops(main, [run.config, run.checkpoint, *run.options, 'data_preprocessor.size=48'])
    assert 'was trained with: data_preprocessor.size is 48 and was 32: ' in line


def test_several_differences_are_told_at_once(run):
    cfg = read_config(run.config, options_of(run) | {'data_preprocessor.size': 48, 'data_preprocessor.to_rgb': False})
    with pytest.raises(ValueError, match='size is 48 and was 32; data_preprocessor.to_rgb is False and was True: name'):
        check_agreement(cfg, read_checkpoint(run.checkpoint), 'x.pth')


@pytest.mark.parametrize('option', ['data_preprocessor.size=48', 'test_dataloader.dataset.pipeline.0.size=16'])
def test_force_goes_on_with_a_warning(run, tools, option, tmp_path, told):
    tools.test([run.config, str(run.checkpoint), '--force', '--work-dir', str(tmp_path), *run.options, option])
    assert 0 <= accuracy(tmp_path) <= 100
    (line,) = told
    assert f'trained with: {option.split("=")[0]} is ' in line
    assert line.endswith('; going on because of --force')


# --- classes in another order ---


def test_the_cure_for_classes_works_as_typed(run, tools, stops, tmp_path):
    arguments = [run.config, run.checkpoint, '--work-dir', tmp_path, *run.options]
    line = stops(tools.test, [*arguments, 'test_dataloader.dataset.metainfo.classes=affectnet7'])
    cure = line.partition('let it map classes by name: --cfg-options ')[2].partition(',')[0]
    assert cure == 'test_dataloader.dataset.metainfo.classes=rafdb'
    tools.test([*map(str, arguments), cure])
    assert accuracy(tmp_path) == json.loads((run.folder / 'metrics.json').read_text())['last']['accuracy']


def test_force_maps_classes_by_name(run, tools, tmp_path):
    option = 'test_dataloader.dataset.metainfo.classes=affectnet7'
    tools.test([run.config, str(run.checkpoint), '--work-dir', str(tmp_path), '--force', *run.options, option])
    assert accuracy(tmp_path) == json.loads((run.folder / 'metrics.json').read_text())['last']['accuracy']


def test_synonyms_are_the_same_class(run, tools, tmp_path):
    names = 'Surprised,fearful,disgusted,happy,sad,angry,neutrality'
    option = f'test_dataloader.dataset.metainfo.classes={names}'
    tools.test([run.config, str(run.checkpoint), '--work-dir', str(tmp_path), *run.options, option])
    assert accuracy(tmp_path) == json.loads((run.folder / 'metrics.json').read_text())['last']['accuracy']


def test_instance_noise_asks_the_network_in_its_own_order(run):
    """With --force: scores are of the network's classes, whatever order the manifest's are in."""
    options = options_of(run)
    other = options | {'train_dataloader.dataset.metainfo.classes': 'affectnet7'}
    with pytest.raises(ValueError, match='counts the classes'):
        confused_manifest(run.config, other, [run.checkpoint], 0.3)
    ours = confused_manifest(run.config, options, [run.checkpoint], 0.3)
    theirs = confused_manifest(run.config, other, [run.checkpoint], 0.3, force=True)
    assert [ours.classes[i] for i in ours.noisy] == [theirs.classes[i] for i in theirs.noisy]


def test_folders_in_an_order_of_their_own_are_refused_once_they_are_read(run, tools, stops, tmp_path):
    """Their classes are known from the folders only."""
    folder = tmp_path / 'faces' / 'test'
    for name in ORDERS['rafdb']:
        (folder / name).mkdir(parents=True)
        (folder / name / 'a.jpg').write_bytes((run.faces / 'test_00001_aligned.jpg').read_bytes())
    config = tmp_path / 'folders.py'
    config.write_text(
        f"_base_ = '{run.config}'\n"
        f"test_dataloader = dict(dataset=dict(_delete_=True, type='mmfer.FolderFaces', data_root='{tmp_path}/faces', "
        "split='test', pipeline=[dict(type='mmfer.LoadFace', size=48), dict(type='mmfer.PackFace')]))\n"
    )
    options = [option for option in run.options if 'test_dataloader' not in option]
    options.append('test_dataloader.num_workers=0')
    options.append('test_dataloader.persistent_workers=False')
    line = stops(tools.test, [config, run.checkpoint, '--work-dir', tmp_path / 'test', *options])
    assert 'test_dataloader.dataset counts the classes anger, disgust, fear' in line
    cure = line.partition('--cfg-options ')[2]
    # Another dataset is no contradiction, nor the size that its pictures are read at.
    tools.test([str(config), str(run.checkpoint), '--work-dir', str(tmp_path / 'test'), *options, cure])
    rows = (tmp_path / 'test' / 'predictions.csv').read_text().splitlines()
    assert rows[0] == 'name,label,predicted,' + ','.join(ORDERS['rafdb'])
    assert len({tuple(row.split(',')[2:]) for row in rows[1:]}) == 1  # one face under seven labels


# --- what is no contradiction ---


def test_what_only_training_reads_may_differ(run):
    options = {
        'train_dataloader.batch_size': 2,
        'data_preprocessor.augment': [],
        'model.supervision': None,
        'model.pretrained': 'other.pth',
        'model.backbone.frozen_stages': 1,
        'model.head.loss': dict(type='LabelSmoothLoss', label_smooth_val=0.1),
        'data_preprocessor.size': [32, 32],
        'test_dataloader.batch_size': 3,
        'test_dataloader.dataset.indices': 4,
        'test_dataloader.dataset.on_bad_image': 'skip',
    }
    check_agreement(read_config(run.config, options_of(run) | options), read_checkpoint(run.checkpoint), 'x.pth')


def test_a_checkpoint_that_says_nothing_is_taken_on_trust(run, tools, tmp_path, told):
    torch.save(torch.load(run.checkpoint, weights_only=True)['state_dict'], tmp_path / 'bare.pth')
    tools.test([run.config, str(tmp_path / 'bare.pth'), '--work-dir', str(tmp_path), *run.options])
    (line,) = told
    assert 'bare.pth does not carry the config of its training: that ' in line
    assert 0 <= accuracy(tmp_path) <= 100


def test_the_second_checkpoint_of_the_attribution_is_compared_too(run, tmp_path, monkeypatch):
    content = torch.load(run.checkpoint, weights_only=True)
    content['meta']['cfg'] = content['meta']['cfg'].replace('to_rgb', 'to_gbr').replace('size=32', 'size=48')
    torch.save(content, tmp_path / 'before.pth')
    monkeypatch.setattr('mmfer.apis.analysis.attributions.choose_faces', lambda *_: [0])
    monkeypatch.setattr('mmfer.apis.analysis.attributions.attribution_maps', lambda *_: None)
    looked_at = read_run(run.config, run.checkpoint, options_of(run), device='cpu')
    with pytest.raises(ValueError, match='before.pth was trained with: data_preprocessor.size is 32 and was 48'):
        show_attributions(looked_at, tmp_path / 'x.png', before=tmp_path / 'before.pth')


# --- every config and its own checkpoint, and configs that others' checkpoints fit ---


@pytest.fixture(scope='module')
def written() -> dict:
    """Configs, and what a checkpoint of theirs would carry."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(mmengine_config, 'FormatCode', lambda text, **_: (text, False))
        return {
            name: (cfg, dict(meta=dict(cfg=cfg.pretty_text, dataset_meta=dict(classes=ORDERS['rafdb'])), state_dict={}))
            for name in WRITTEN
            for cfg in [Config.fromfile(ROOT / f'configs/{name}.py')]
        }


METHODS = ('arm', 'baseline', 'lanet', 'pal', 'scn', 'sna')
OTHERS = ('baseline/r18_rafdb_on_ferplus', 'baseline/r18_rafdb_sym30', 'scn/r18_rafdb_affectnet7', 'pal/vgg16_rafdb')
WRITTEN = (*(f'{method}/r18_rafdb' for method in METHODS), *OTHERS)


@pytest.mark.parametrize('name', WRITTEN)
def test_a_config_agrees_with_its_own_checkpoint(name, written):
    cfg, content = written[name]
    for split in ('train', 'val', 'test'):
        check_agreement(cfg, content, name, split)
    for data in (True, False):
        check_agreement(checkpoint_config(content, name, data=data), content, name)


@pytest.mark.parametrize(
    ('name', 'trained', 'split'),
    [
        ('baseline/r18_rafdb_on_ferplus', 'baseline/r18_rafdb', 'test'),
        ('baseline/r18_rafdb_on_ferplus', 'lanet/r18_rafdb', 'test'),
        ('pal/r18_rafdb', 'baseline/r18_rafdb', 'train'),
        ('baseline/r18_rafdb_sym30', 'baseline/r18_rafdb', 'train'),
        ('scn/r18_rafdb', 'scn/r18_rafdb_affectnet7', 'test'),
    ],
)
def test_a_config_of_the_same_network_agrees_too(name, trained, split, written):
    check_agreement(written[name][0], written[trained][1], trained, split)


def test_a_checkpoint_of_another_network_does_not(written):
    with pytest.raises(ValueError, match='model.neck.type is mmfer.ARM and was GlobalAveragePooling'):
        check_agreement(written['arm/r18_rafdb'][0], written['baseline/r18_rafdb'][1], 'x.pth')
