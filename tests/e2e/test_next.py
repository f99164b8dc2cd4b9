"""What tools print to be typed next is typed here, as it stands, and works."""

import importlib.util
import json
import re
import shlex
import shutil
import sys
from collections.abc import Callable
from contextlib import nullcontext
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from e2e.clone import NARROW, ROOT, TEST_FACES, options, tiny
from layouts import LAYOUTS
from miniature import face_points, make_rafdb
from mmengine.config import Config
from mmengine.registry import MODELS, Registry
from mmengine.runner import EpochBasedTrainLoop
from mmpretrain.models import GlobalAveragePooling
from tools.blobs import plugin  # noqa: F401  a fixture

from mmfer import commands
from mmfer.cli.main import main as mmfer_main
from mmfer.registry import LANDMARK_DETECTORS

CONFIG = 'configs/baseline/r18_rafdb_96px_12e.py'
SMALL = tiny(CONFIG) | NARROW
PRINTING = {
    'mmfer/engine/hooks/auto_encoder_sheets.py',
    'mmfer/cli/audit.py',
    'mmfer/cli/benchmark.py',
    'mmfer/cli/data/browse.py',
    'mmfer/cli/data/check.py',
    'mmfer/cli/data/faces.py',
    'mmfer/cli/data/landmarks.py',
    'mmfer/cli/data/noise.py',
    'mmfer/cli/data/pack.py',
    'mmfer/cli/test.py',
    'mmfer/cli/train.py',
}
"""Files that print what to type next; each has its test below."""


def test_every_file_that_prints_what_to_type_is_tested_here():
    files = [path for folder in ('mmfer', 'tools', 'examples') for path in sorted((ROOT / folder).rglob('*.py'))]
    printing = re.compile(r'next: |to go on: |train with (it|them): ')
    assert {str(path.relative_to(ROOT)) for path in files if printing.search(path.read_text())} == PRINTING


@pytest.fixture
def typed(monkeypatch, capsys) -> Callable[..., str]:
    """Types a command in the current folder, and gives what it printed."""

    def run(line: str, *more: str, fails: bool = False, **replaced: object) -> str:
        words = shlex.split(line)
        with monkeypatch.context() as patch:
            while '=' in words[0]:
                patch.setenv(*words.pop(0).split('=', 1))
            program, *arguments = words
            arguments = [str(replaced.pop(word, word)) for word in arguments]
            assert not replaced
            if program == 'mmfer':
                patch.setattr(sys, 'argv', [program, *arguments, *more])
                main = partial(mmfer_main, [*arguments, *more])
            else:
                assert Path(shutil.which(program)).samefile(sys.executable)
                tool, *arguments = arguments
                assert Path(tool).samefile(ROOT / 'tools' / Path(tool).absolute().relative_to(root_of(tool)))
                patch.setattr(sys, 'argv', [tool, *arguments, *more])
                spec = importlib.util.spec_from_file_location('typed_tool', tool)
                module = importlib.util.module_from_spec(spec)
                patch.setitem(sys.modules, spec.name, module)
                spec.loader.exec_module(module)
                main = module.main
            with pytest.raises(SystemExit) if fails else nullcontext():
                main()
        return capsys.readouterr().out

    return run


def root_of(tool: str) -> Path:
    return next(parent for parent in Path(tool).absolute().parents if parent.name == 'tools')


def following(said: str) -> str:
    (line,) = [line for line in said.splitlines() if line.startswith('next: ')]
    return line.removeprefix('next: ')


@pytest.fixture
def home(clone, monkeypatch, tmp_path) -> Path:
    """A clone that nobody else writes to; blanks in names of its own config and work folder."""
    for name in ('configs', 'tools', 'data'):
        (tmp_path / name).symlink_to(clone / name)
    (tmp_path / 'my own').mkdir()
    (tmp_path / 'my own' / 'a config.py').write_text(f"_base_ = '{ROOT / CONFIG}'\n")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def command_line(tool: str, *arguments: str, values: dict, way: str = 'tools') -> str:
    return f'{as_one_types(tool, way)} {shlex.join([*arguments, *options(values)])}'


def as_one_types(tool: str, way: str) -> str:
    """'python tools/dataset_tools/check.py' or 'mmfer data check'."""
    if way == 'tools':
        return f'python tools/{tool}'
    words = tool.removesuffix('.py').replace('_', '-').split('/')
    return ' '.join(
        ['mmfer', *({'dataset-tools': 'data', 'analysis-tools': 'analyze'}.get(word, word) for word in words)]
    )


BOTH_WAYS = pytest.mark.parametrize('way', ['tools', 'mmfer'])


@BOTH_WAYS
def test_from_a_check_to_predictions(home, typed, way):
    """check, browse, train, test, predict: each line is the one before it printed."""
    Path(DRIVE).parent.mkdir()
    Path(DRIVE).symlink_to(home / 'data' / 'raf-db')
    values = SMALL | {f'{split}_dataloader.dataset.data_root': DRIVE for split in ('train', 'val')}
    check = command_line('dataset_tools/check.py', 'my own/a config.py', values=values | TEST_ROOT, way=way)
    browse = following(typed(check, fails=True))  # it misses the faces that the real data set has
    assert browse.startswith(f"{as_one_types('dataset_tools/browse.py', way)} 'my own/a config.py' --cfg-options ")
    train = following(typed(browse, '--seed', '7'))
    assert train.startswith(f"{as_one_types('train.py', way)} 'my own/a config.py' --seed 7 --cfg-options ")
    train = train.replace(shlex.quote(f'test_dataloader.dataset.data_root={DRIVE}'), '')
    test = following(typed(train.replace(' --cfg-options', " --work-dir 'the run' --cfg-options")))
    assert test == f"{as_one_types('test.py', way)} 'the run/epoch_1.pth'"  # which carries config and options
    predict = following(typed(test))
    reports = [json.loads((home / 'the run' / name).read_text()) for name in ('metrics.json', 'test/test_metrics.json')]
    assert reports[0]['last']['accuracy'] == reports[1]['accuracy']
    assert reports[0]['confusion_matrix'] == reports[1]['confusion_matrix']
    faces = home / 'data/raf-db/basic/Image/aligned/train_00001_aligned.jpg'
    assert 'train_00001_aligned.jpg: ' in typed(predict, IMAGE_OR_FOLDER=faces)


DRIVE = "My Drive/sam's faces, old"
TEST_ROOT = {'test_dataloader.dataset.data_root': DRIVE}


def test_the_epoch_that_was_chosen_is_the_one_that_is_tested(home, typed):
    values = SMALL | {'select_on': 'test', 'train_cfg.max_epochs': 2, 'optim_wrapper.optimizer.lr': 0.0}
    said = typed(command_line('train.py', CONFIG, values=values))
    (best,) = Path('work_dirs').glob('baseline/*/best_accuracy_epoch_*.pth')
    test = shlex.split(following(said))
    assert test == ['python', 'tools/test.py', str(best)]
    typed(following(said))
    assert json.loads((best.parent / 'test/test_metrics.json').read_text())['checkpoint'] == str(best)


def test_a_run_without_checkpoints_or_test_set_names_what_there_is(home, typed):
    said = typed(command_line('train.py', CONFIG, values=SMALL | {'default_hooks.checkpoint': None}))
    assert 'next: ' not in said
    values = SMALL | {'test_dataloader': None, 'test_evaluator': None, 'test_cfg': None}
    predict = following(typed(command_line('train.py', CONFIG, values=values)))
    assert predict.startswith('python tools/predict.py IMAGE_OR_FOLDER --checkpoint work_dirs/')
    typed(predict, IMAGE_OR_FOLDER='data/raf-db/basic/Image/aligned')


@BOTH_WAYS
def test_faces_then_their_landmarks_then_training_with_them(home, typed, way, plugin, monkeypatch):  # noqa: F811
    detector = LANDMARK_DETECTORS.get('blobs_pkg.RedBlob')
    found = (np.tile(face_points() * 30, (100, 1, 1)), np.ones(100, np.float32))
    monkeypatch.setattr(detector, 'detect', lambda self, images: tuple(part[: len(images)] for part in found))
    (home / 'fer').mkdir()
    for path in (home / 'data/fer2013').iterdir():
        if path.name != 'landmarks68.npz':
            (home / 'fer' / path.name).symlink_to(path)
    config = 'configs/lanet/r18_fer2013.py'
    values = {f'{split}_dataloader.dataset.data_root': 'fer' for split in ('train', 'val', 'test')}
    line = command_line('dataset_tools/faces.py', config, 'the faces', values=values, way=way)
    landmarks = following(typed(line))
    assert landmarks == f"{as_one_types('dataset_tools/landmarks.py', way)} 'the faces' fer/landmarks68.npz --aligned"
    # A detector that is there everywhere; --aligned is for that of the face-alignment package.
    said = typed(landmarks.replace(' --aligned', ''), '--detector', 'blobs_pkg.RedBlob')
    train = following(said)
    option = f'train_dataloader.dataset.landmarks={home}/fer/landmarks68.npz'
    assert train == f'{as_one_types("train.py", way)} CONFIG --cfg-options {option}'
    small = tiny(config) | NARROW | values | {'model.pretrained': None}
    typed(train, *options(small), CONFIG=config)
    assert Path('work_dirs/lanet/r18_fer2013/epoch_1.pth').is_file()


@BOTH_WAYS
def test_corrected_labels_are_trained_with(home, typed, way, tmp_path):
    make_rafdb(tmp_path / 'more faces', per_class=8, size=32, test_per_class=1)
    values = {**SMALL, 'train_dataloader.dataset.data_root': 'more faces', 'train_dataloader.dataset.indices': None}
    line = command_line('audit.py', 'my own/a config.py', '--folds', '2', '--fix', '3', values=values, way=way)
    train = following(typed(line))
    work = 'work_dirs/a config/audit'
    assert train.startswith(f"{as_one_types('train.py', way)} 'my own/a config.py' --work-dir '{work}/corrected' ")
    typed(train)
    cfg = Config.fromfile(f'{work}/corrected/a config.py')
    assert cfg.train_dataloader.dataset.label_noise == dict(kind='corrections', file=f'{work}/corrected.csv')

    LAYOUTS['FolderFaces'](Path('my folder'), faces=8)
    line = command_line('audit.py', 'my folder/train', '--folds', '2', values=FOLDER, way=way)
    train = following(typed(line))
    assert train.startswith(f'{as_one_types("train.py", way)} work_dirs/audit/train/config.py --work-dir ')
    typed(train)
    assert Path('work_dirs/audit/train/corrected/epoch_1.pth').is_file()


FOLDER = NARROW | {
    key: value
    for key, value in tiny('configs/baseline/r18_folder_64px_20e.py').items()
    if 'indices' not in key and 'pipeline' not in key
}


def test_noise_and_packs_are_trained_with(home, typed):
    line = command_line(
        'dataset_tools/noise.py', CONFIG, 'my noise.csv', '--kind', 'symmetric', '--rate', '.3', values=SMALL
    )
    typed(following(typed(line)))
    cfg = Config.fromfile('work_dirs/baseline/r18_rafdb_96px_12e/r18_rafdb_96px_12e.py')
    assert cfg.train_dataloader.dataset.label_noise == dict(kind='manifest', file='my noise.csv')

    line = command_line('dataset_tools/pack.py', CONFIG, 'my faces.pack', '--size', '24', values=SMALL)
    typed(following(typed(line)))
    cfg = Config.fromfile('work_dirs/baseline/r18_rafdb_96px_12e/r18_rafdb_96px_12e.py')
    assert cfg.train_dataloader.dataset.packed == 'my faces.pack'
    assert cfg.train_dataloader.dataset.pipeline[0]['size'] == 24


@BOTH_WAYS
def test_the_classifier_that_follows_an_autoencoder_finds_it(home, typed, way):
    """With another size, another work folder and other data than its config says."""
    first = 'configs/sna/autoencoder_synthfaces.py'
    values = tiny(first) | {'model.size': 16, 'model.channels': 4, 'model.latent_dim': 8, 'data_preprocessor.size': 16}
    said = typed(command_line('train.py', first, '--work-dir', 'an encoder', values=values, way=way))
    train = following(said)
    place = 'model.supervision.sna.branches.neighbours'
    words = shlex.split(train)
    start = [*as_one_types('train.py', way).split(), 'configs/sna/r18_synthfaces.py', '--cfg-options']
    assert words[: len(start)] == start
    assert words[len(start) :] == [
        *(f'{key}={value}' for key, value in values.items() if '_dataloader.dataset.' in key),
        f'{place}.checkpoint=an encoder',
        *(f'{place}.autoencoder.{key}={value}' for key, value in (('size', 16), ('channels', 4), ('latent_dim', 8))),
    ]
    small = {key: value for key, value in tiny('configs/sna/r18_synthfaces.py').items() if 'checkpoint' not in key}
    typed(train, *options(small | NARROW))
    inside = torch.load('work_dirs/sna/r18_synthfaces/epoch_1.pth', weights_only=True)['state_dict']
    theirs = torch.load('an encoder/epoch_1.pth', weights_only=True)['state_dict']
    key = 'supervision.methods.sna.branches.neighbours.autoencoder.latent_std'
    assert torch.equal(inside[key], theirs['latent_std'])


@BOTH_WAYS
def test_what_ctrl_c_prints_goes_on(home, typed, way, monkeypatch, capsys):
    run_iter = EpochBasedTrainLoop.run_iter

    def interrupted(loop, idx, data):
        if (loop.epoch, idx) == (1, 1):
            raise KeyboardInterrupt
        run_iter(loop, idx, data)

    line = command_line(
        'train.py', 'my own/a config.py', '--work-dir', 'the run', values=SMALL | {'train_cfg.max_epochs': 2}, way=way
    )
    with monkeypatch.context() as patch:
        patch.setattr(EpochBasedTrainLoop, 'run_iter', interrupted)
        with pytest.raises(SystemExit) as stopped:
            typed(line)
    assert stopped.value.code == 130
    told = capsys.readouterr().err.splitlines()[-1]
    assert told.startswith(f"mmfer: interrupted; to go on: {as_one_types('train.py', way)} 'my own/a config.py' ")
    typed(told.partition('to go on: ')[2])
    checkpoint = torch.load('the run/epoch_2.pth', weights_only=True)
    assert checkpoint['meta']['iter'] == 4
    assert [record['epoch'] for record in checkpoint['mmfer_protocol']['records']] == [1, 2]


@pytest.mark.parametrize(
    ('launcher', 'environment', 'line'),
    [
        (
            'pytorch',
            dict(WORLD_SIZE='2', LOCAL_WORLD_SIZE='2', CUDA_VISIBLE_DEVICES='', MASTER_ADDR='127.0.0.1'),
            "CUDA_VISIBLE_DEVICES='' tools/dist_train.sh 'a config.py' 2 --amp --cfg-options 'a=b c' --resume auto",
        ),
        (
            'pytorch',
            dict(WORLD_SIZE='8', LOCAL_WORLD_SIZE='4', NNODES='2', NODE_RANK='1', MASTER_ADDR='head', PORT='29501'),
            'PORT=29501 NNODES=2 NODE_RANK=1 MASTER_ADDR=head '
            "tools/dist_train.sh 'a config.py' 4 --amp --cfg-options 'a=b c' --resume auto",
        ),
        (
            'slurm',
            dict(SLURM_JOB_PARTITION='gpu', SLURM_JOB_NAME='lanet', GPUS='16'),
            "GPUS=16 tools/slurm_train.sh gpu lanet 'a config.py' --amp --cfg-options 'a=b c' --resume auto",
        ),
    ],
)
def test_what_ctrl_c_prints_starts_as_many_processes(launcher, environment, line, clone, monkeypatch):
    for name in (*commands.LAUNCH, *commands.SLURM, 'MASTER_ADDR'):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    arguments = ['a config.py', '--launcher', launcher, '--resume', 'epoch_3.pth', '--amp', '--cfg-options', 'a=b c']
    assert commands.resuming(arguments, 'a config.py', launcher) == line


@pytest.mark.parametrize('part', [None, 'acme_of_test.Pooling'])
def test_from_a_plugins_folder(part, tmp_path, typed, monkeypatch, request):
    """The tools' path as it was typed there; where the checkpoint alone would not do, its config, options and variable.

    A checkpoint may not say itself that a third party's package is to be imported.
    """
    registry = Registry('model', parent=MODELS, scope='acme_of_test')
    request.addfinalizer(lambda: MODELS.children.pop('acme_of_test'))
    registry.register_module(name='Pooling', module=type('Pooling', (GlobalAveragePooling,), {}))
    (tmp_path / 'configs').mkdir()
    (tmp_path / 'configs' / 'mine.py').write_text(
        "_base_ = '{{$MMFER:../nowhere}}/configs/baseline/r18_synthfaces.py'\n"
    )
    monkeypatch.chdir(tmp_path)
    small = tiny('configs/baseline/r18_synthfaces.py') | NARROW | ({'model.neck.type': part} if part else {})
    small |= {'test_dataloader.dataset.num': TEST_FACES}
    line = shlex.join(['python', str(ROOT / 'tools/train.py'), 'configs/mine.py', *options(small)])
    test = following(typed(f'MMFER={ROOT} {line}'))
    if part:
        assert test.startswith(f'MMFER={ROOT} python {ROOT}/tools/test.py configs/mine.py work_dirs/mine/epoch_1.pth ')
    else:
        assert test == f'python {ROOT}/tools/test.py work_dirs/mine/epoch_1.pth'
    typed(test)
    assert Path('work_dirs/mine/test/test_metrics.json').is_file()


def test_the_cure_of_a_mistake_is_one_that_works_here(tmp_path, typed, monkeypatch, capsys):
    """From another folder, where neither `tools/` nor `configs/` are."""
    monkeypatch.chdir(tmp_path)
    config = str(ROOT / 'configs/sna/r18_synthfaces.py')
    values = {key: value for key, value in tiny('configs/sna/r18_synthfaces.py').items() if 'checkpoint' not in key}
    with pytest.raises(SystemExit):
        typed(shlex.join(['python', str(ROOT / 'tools/train.py'), config, *options(values | NARROW)]))
    told = capsys.readouterr().err.splitlines()[-1]
    cure = re.search(r'make it with (.*), or name the checkpoint', told)[1]
    assert cure == f'python {ROOT}/tools/train.py {ROOT}/configs/sna/autoencoder_synthfaces.py'
    first = tiny('configs/sna/autoencoder_synthfaces.py')
    typed(cure, *options(first))
    typed(shlex.join(['python', str(ROOT / 'tools/train.py'), config, *options(values | NARROW)]))
    assert Path('work_dirs/sna/r18_synthfaces/epoch_1.pth').is_file()


def test_another_interpreter_than_python_is_named(monkeypatch, clone):
    monkeypatch.setattr(sys, 'executable', str(clone / '.venv/bin/python'))
    assert commands.command('train.py', 'a.py') == '.venv/bin/python tools/train.py a.py'
    absent = 'there is no config configs/lanet/r18_rafdb.py; did you mean configs/arm/r18_rafdb.py?'
    assert commands.here(absent) == absent
    cure = commands.here('make one with python tools/dataset_tools/noise.py CONFIG OUT.csv, see data/tools/a.py')
    assert cure == 'make one with .venv/bin/python tools/dataset_tools/noise.py CONFIG OUT.csv, see data/tools/a.py'


@BOTH_WAYS
def test_a_benchmark_that_was_stopped_goes_on(home, typed, monkeypatch, way):
    asked = []

    def train(self, runs):
        asked.append((self.grid.name, runs, self.results, self._work_dir, self._jobs))
        if len(asked) == 1:
            raise KeyboardInterrupt
        return []

    monkeypatch.setattr('mmfer.apis.benchmarking.running.Benchmark.train', train)
    rows = {'SCN, R18': dict(config='configs/scn/r18_synthfaces.py'), 'plain': dict(config=CONFIG)}
    (home / 'my own' / 'a grid.py').write_text(f"title = 'Mine'\nseeds = [0, 1]\nrows = {rows!r}\n")
    options = [
        '--rows',
        'SCN, R18',
        '--seeds',
        '3',
        '4',
        '--share',
        '1/2',
        '--jobs',
        '1',
        '--results',
        'my own/results',
    ]
    said = typed(f'{as_one_types("benchmark.py", way)} {shlex.join(["my own/a grid.py", *options])}', fails=True)
    typed(said.partition('to go on: ')[2])
    first, second = asked
    assert first == second
    assert [(run.row, run.seed) for run in first[1]] == [('SCN, R18', 3)]
