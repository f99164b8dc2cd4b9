"""tools/train.py from its command line: what it prints, how it goes on, and how it stops."""

import json
import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import cv2
import pytest
import torch
from mmengine.config import Config

from mmfer.apis import default_work_dir
from mmfer.apis.training import pin_memory

ROOT = Path(__file__).parents[2]


def options_of(run, **changed):
    """The run's options with some changed."""
    values = dict(option.split('=', 1) for option in run.options[1:])
    values |= {key.replace('__', '.'): str(value) for key, value in changed.items()}
    return ['--cfg-options', *(f'{key}={value}' for key, value in values.items())]


def test_the_end_says_what_was_reached_where_the_pictures_are_and_what_to_type(run):
    report = json.loads((run.folder / 'metrics.json').read_text())
    end = run.said[run.said.rindex('\naccuracy ') :]
    assert f'accuracy {report["last"]["accuracy"]:.2f} %' in end
    assert f'mean class accuracy {report["last"]["mean_class_accuracy"]:.2f} %' in end
    assert f'always guessing surprise: accuracy {100 / 7:.2f} %' in end
    assert report['seed'] == 5
    assert report['config'] == 'r18_rafdb_96px_12e'
    pictures = next(line for line in end.splitlines() if line.startswith('pictures: '))
    assert [Path(word).is_file() for word in pictures.split()[1:]] == [True, True]
    assert [epoch['epoch'] for epoch in report['epochs']] == [1, 2]
    assert {'loss', 'cls.ce_loss', 'lanet.heatmap_loss', 'lanet.kl_loss'} <= set(report['epochs'][0]['train'])


def test_the_next_command_runs_and_finds_what_training_found(run, tools, tmp_path, capsys):
    command = shlex.split(run.said[run.said.rindex('next: ') + 6 :])
    assert command[:2] == ['python', 'tools/test.py']
    tools.test([*command[2:], '--work-dir', str(tmp_path)])
    report = json.loads((run.folder / 'metrics.json').read_text())
    tested = json.loads((tmp_path / 'test_metrics.json').read_text())
    assert tested['accuracy'] == report['last']['accuracy']
    assert tested['confusion_matrix'] == report['confusion_matrix']
    assert f'accuracy{tested["accuracy"]:24.2f}' in capsys.readouterr().out


def test_resume_goes_on_from_the_newest_checkpoint_without_the_weights_it_began_with(run, tools, tmp_path):
    for name in ('epoch_2.pth', 'last_checkpoint'):
        (tmp_path / name).write_bytes((run.folder / name).read_bytes())
    (tmp_path / 'last_checkpoint').write_text(str(tmp_path / 'epoch_2.pth'))
    values = options_of(run, train_cfg__max_epochs=3, model__pretrained='gone.pth')
    tools.train([run.config, '--work-dir', str(tmp_path), '--resume', *values])
    resumed = json.loads((tmp_path / 'metrics.json').read_text())['epochs']
    first = json.loads((run.folder / 'metrics.json').read_text())['epochs']
    assert [epoch['epoch'] for epoch in resumed] == [1, 2, 3]
    assert resumed[:2] == first
    assert torch.load(tmp_path / 'epoch_3.pth', weights_only=True)['meta']['epoch'] == 3


@pytest.mark.parametrize('gpu', [True, False])
def test_loaders_pin_memory_where_there_is_a_gpu_to_copy_to(gpu, monkeypatch):
    monkeypatch.setattr(torch.cuda, 'is_available', lambda: gpu)
    cfg = Config(
        dict(
            train_dataloader=dict(batch_size=2),
            val_dataloader=None,
            test_dataloader=dict(batch_size=2, pin_memory=False),
        )
    )
    pin_memory(cfg)
    assert cfg.train_dataloader.get('pin_memory', False) == gpu
    assert cfg.val_dataloader is None
    assert cfg.test_dataloader.pin_memory is False


@pytest.mark.parametrize(
    ('config', 'folder'),
    [
        ('configs/lanet/r18_rafdb.py', 'work_dirs/lanet/r18_rafdb'),
        ('/somewhere/configs/old/configs/scn/r18_rafdb.py', 'work_dirs/scn/r18_rafdb'),
        ('configs/mine.py', 'work_dirs/mine'),
        ('configs.py', 'work_dirs/configs'),
        ('../mine/child.v2.py', 'work_dirs/child.v2'),
    ],
)
def test_configs_of_two_methods_do_not_share_a_folder(config, folder):
    assert str(default_work_dir(config)) == folder


def test_the_command_line_lies_over_the_config(run, tools, monkeypatch, tmp_path):
    def configured(*arguments):
        return tools.configure([run.config, *arguments])

    monkeypatch.chdir(tmp_path)
    cfg = configured(
        '--amp',
        '--seed',
        '11',
        '--resume',
        str(run.checkpoint),
        '--cfg-options',
        'model.pretrained=None',
        'optim_wrapper.optimizer.lr=.5',
    )
    assert cfg.work_dir == 'work_dirs/lanet/r18_rafdb_96px_12e'
    assert cfg.optim_wrapper.type == 'AmpOptimWrapper'
    assert (cfg.randomness.seed, cfg.randomness.deterministic) == (11, False)
    assert (cfg.resume, cfg.load_from) == (True, str(run.checkpoint))
    assert cfg.model.pretrained is None
    assert cfg.optim_wrapper.optimizer.lr == 0.5
    plain = configured('--work-dir', 'here')
    assert (plain.work_dir, plain.resume, plain.load_from, plain.randomness.seed) == ('here', False, None, 0)
    assert configured('--resume').resume is True


@pytest.mark.parametrize('flag', ['amx_bf16', '', None])
def test_mixed_precision_where_the_processor_multiplies_in_it(run, tools, monkeypatch, flag):
    monkeypatch.setattr('torch.cuda.is_available', lambda: False)
    monkeypatch.setattr('mmfer.apis.precision.bfloat16_flag', lambda: flag)
    wrapper = tools.configure([run.config, '--amp-if-fast']).optim_wrapper
    assert wrapper.get('type') == ('AmpOptimWrapper' if flag else None)  # None: float32


@pytest.mark.parametrize(('capability', 'wrapper'), [((6, 1), None), ((7, 0), 'AmpOptimWrapper')])
def test_mixed_precision_where_the_gpu_has_cores_for_it(run, tools, monkeypatch, capability, wrapper):
    monkeypatch.setattr('torch.cuda.is_available', lambda: True)
    monkeypatch.setattr('torch.cuda.is_bf16_supported', lambda **_: False)
    monkeypatch.setattr('torch.cuda.get_device_capability', lambda: capability)
    assert tools.configure([run.config, '--amp-if-fast']).optim_wrapper.get('type') == wrapper


def test_selecting_on_val_keeps_the_best_checkpoint(run, tools, tmp_path):
    options = options_of(
        run,
        train_cfg__max_epochs=1,
        select_on='val',
        val_dataloader__dataset__split='val',
        train_dataloader__dataset__holdout__fraction=0.25,
        val_dataloader__dataset__holdout__fraction=0.25,
    )
    tools.train([run.config, '--work-dir', str(tmp_path), *options])
    report = json.loads((tmp_path / 'metrics.json').read_text())
    assert (report['select_on'], report['split'], report['faces']) == ('val', 'val', 7)
    assert list(tmp_path.glob('best_accuracy_epoch_1.pth'))


def stops(capsys, main, arguments) -> str:
    """The one line that a wrong command ends with."""
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    assert caught.value.code == 1
    lines = [line for line in capsys.readouterr().err.splitlines() if line.startswith('mmfer: error: ')]
    assert len(lines) == 1
    return lines[0].removeprefix('mmfer: error: ')


@pytest.mark.parametrize(
    ('changed', 'parts'),
    [
        (
            dict(model__pretrained='absent/resnet18_msceleb.pth'),
            [
                'absent/resnet18_msceleb.pth',
                'MS-Celeb-1M',
                'model.pretrained=None',
                'model.pretrained=torchvision://resnet18',
            ],
        ),
        (dict(train_dataloader__dataset__data_root='absent/raf-db'), ['absent/raf-db', 'apply at']),
        (dict(train_dataloader__dataset__landmarks='None'), ['landmarks', 'lanet']),
        (dict(model__backbone__type='ResNett'), ["type='ResNett' is no known model", 'did you mean ResNet?']),
        (dict(model__type='mmfer.FERClasifier'), ['did you mean mmfer.FERClassifier?']),
        (dict(train_dataloader__sampler__type='ProgressiveSampler'), ['did you mean mmfer.ProgressiveSampler?']),
        (dict(model__head__num_clases=7), ["LinearClsHead has no parameter 'num_clases'", 'did you mean num_classes?']),
        (dict(optim_wrapper__optimizer__learning_rate=1), ["Adam has no parameter 'learning_rate'", 'lr']),
        (
            dict(train_cfg__max_epoch=3),
            ["ResumableEpochLoop has no parameter 'max_epoch'", 'did you mean max_epochs?'],
        ),
        (
            dict(train_dataloader__dataset__landmark='x'),
            ["RAFDB has no parameter 'landmark'", 'did you mean landmarks?'],
        ),
        (dict(select_onn='val'), ["no part of a run reads the key 'select_onn'; did you mean select_on?"]),
        (dict(select_on='best'), ["select_on must be None, 'val' or 'test', got 'best'"]),
        (dict(model__head__num_classes=5), ['model.head.num_classes is 5', 'model.head.num_classes=7']),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else '',
)
def test_a_mistake_ends_as_one_sentence(changed, parts, run, tools, tmp_path, capsys):
    line = stops(capsys, tools.train, [run.config, '--work-dir', str(tmp_path), *options_of(run, **changed)])
    for part in parts:
        assert part in line
    assert 'Traceback' not in line


def test_a_misspelt_config_is_met_with_the_nearest(tools, monkeypatch, capsys):
    monkeypatch.chdir(ROOT)
    line = stops(capsys, tools.train, ['configs/lanet/r18_rafbd.py'])
    assert line == 'there is no config configs/lanet/r18_rafbd.py; did you mean configs/lanet/r18_rafdb.py?'


def test_a_checkpoint_that_is_not_there_cannot_be_resumed(run, tools, tmp_path, capsys):
    line = stops(capsys, tools.train, [run.config, '--work-dir', str(tmp_path), '--resume', 'epoch_9.pth'])
    assert line.startswith('there is no checkpoint epoch_9.pth')


def test_a_config_that_is_no_python_is_named(tools, tmp_path, capsys):
    (tmp_path / 'broken.py').write_text('model = dict(\n')
    assert 'broken.py' in stops(capsys, tools.train, [str(tmp_path / 'broken.py')])


def test_a_mistake_deep_in_a_worker_is_told_without_its_traceback(run, tools, tmp_path, capsys):
    broken = tmp_path / 'data'
    shutil.copytree(run.data, broken)
    for file in (broken / 'basic' / 'Image' / 'aligned').glob('train_*'):
        whole = cv2.imencode('.png', cv2.imread(str(file)))[1].tobytes()
        file.write_bytes(whole[:200] + bytes(60) + whole[260:])  # which only decoding shows
    changed = dict(train_dataloader__dataset__data_root=broken, train_dataloader__num_workers=1)
    line = stops(capsys, tools.train, [run.config, '--work-dir', str(tmp_path), *options_of(run, **changed)])
    assert line.startswith(str(broken))
    assert 'is cut off or damaged; restore it' in line


def test_the_traceback_comes_on_request(tools, monkeypatch, capsys):
    monkeypatch.setenv('MMFER_TRACEBACK', '1')
    with pytest.raises(SystemExit):
        tools.train(['configs/absent.py'])
    told = capsys.readouterr().err
    assert 'Traceback (most recent call last)' in told
    assert told.rstrip().splitlines()[-1].startswith('mmfer: error: there is no config configs/absent.py')


def test_our_own_mistakes_keep_their_traceback():
    from mmfer.apis import user_errors

    for error in (RuntimeError('bug'), AssertionError('bug'), TypeError('unsupported operand'), IndexError('bug')):
        with pytest.raises(type(error)), user_errors():
            raise error


def test_a_mistake_reported_by_a_library_says_how_to_see_more(capsys):
    from mmfer.apis import user_errors

    with pytest.raises(SystemExit), user_errors():
        Config.fromfile('absent.py')
    assert capsys.readouterr().err.strip().endswith('(MMFER_TRACEBACK=1 in front of the command shows where)')


def test_as_a_program_it_exits_with_one_and_one_line():
    command = [sys.executable, str(ROOT / 'tools' / 'train.py'), 'configs/lanet/r18_rafbd.py']
    environment = os.environ | dict(PYTHONPATH=str(ROOT))
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert done.returncode == 1
    assert 'Traceback' not in done.stderr
    assert done.stderr.splitlines()[-1].startswith('mmfer: error: there is no config')
