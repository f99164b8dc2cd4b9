"""What is trained when, where, and what becomes of what fails; the trainings themselves are made up here."""

import json
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import torch

from mmfer.apis.benchmarking import places, training
from mmfer.apis.benchmarking.grid import Grid, Row, Run
from mmfer.apis.benchmarking.places import Place, find_places, share_of
from mmfer.apis.benchmarking.running import Benchmark
from mmfer.apis.benchmarking.training import Trainings

GRID = Grid(
    'made_up',
    'Made up',
    {'plain': Row('plain.py', {}, None), 'SNA': Row('sna.py', {'checkpoint': '{encoder}'}, 'plain')},
    {'clean': {'noise': None}},
    (0, 1),
    train=('--amp',),
    first=dict(encoder='encoder.py'),
)
HERE = Place('CPU, 1 thread', dict(OMP_NUM_THREADS='1'))


@pytest.fixture
def trained(monkeypatch):
    """Trainings that end at once; what was asked of them. Configs in `failing` fail."""

    class Asked(list):
        failing = ()

    asked = Asked()

    def train(self, words, work_dir, place):
        asked.append((words, work_dir.name))
        if words[0] in asked.failing:
            return None
        work_dir.mkdir(parents=True, exist_ok=True)
        (work_dir / 'epoch_2.pth').touch()
        (work_dir / 'last_checkpoint').write_text(str(work_dir / 'epoch_2.pth'))
        figures = dict(accuracy=50.0)
        report = dict(config='x', seed=0, last=figures, last5=figures, faces=3, epochs=[dict(epoch=1, accuracy=50.0)])
        (work_dir / 'metrics.json').write_text(json.dumps(report))
        return 60.0

    monkeypatch.setattr(Trainings, 'train', train)
    return asked


def benchmark(folder, jobs=1):
    return Benchmark(GRID, folder / 'results', folder / 'work', [HERE] * jobs)


@pytest.mark.parametrize('jobs', [1, 3])
def test_what_is_needed_is_trained_once_and_before(tmp_path, trained, jobs, capsys):
    made = benchmark(tmp_path, jobs)
    assert made.train(GRID.runs()) == []
    words = [' '.join(words) for words, _ in trained]
    assert sorted(word.split()[0] for word in words) == ['encoder.py', 'plain.py', 'plain.py', 'sna.py', 'sna.py']
    last = tmp_path / 'work/made_up/first/encoder/last.pth'
    keeps = 'default_hooks.checkpoint.max_keep_ckpts=1'
    assert f'sna.py --amp --seed 1 --cfg-options {keeps} noise=None checkpoint={last}' in words
    assert words.index('encoder.py') < min(i for i, word in enumerate(words) if word.startswith('sna.py'))
    if jobs == 1:  # in the order of the grid, also what waits for others
        assert [(word.split()[0], word.split()[3]) for word in words[1:]] == [
            (f'{row}.py', str(seed)) for seed in (0, 1) for row in ('plain', 'sna')
        ]
    assert last.resolve() == (last.parent / 'epoch_2.pth').resolve()
    said = json.loads((tmp_path / 'results/made_up/clean/SNA_seed1.json').read_text())
    assert said['command'] == (
        'mmfer train sna.py --amp --seed 1 --cfg-options noise=None '
        'checkpoint=work_dirs/benchmark/made_up/first/encoder/last.pth'
    )
    assert (said['device'], said['seconds']) == ('CPU, 1 thread', 60)
    assert 'clean/SNA_seed1: accuracy 50.00 % (mean of the last epochs), 1.0 min' in capsys.readouterr().out
    trained.clear()
    assert made.missing(GRID.runs()) == []  # and nothing is trained twice


def test_a_failure_is_named_and_the_rest_goes_on(tmp_path, trained):
    trained.failing = ('plain.py',)
    made = benchmark(tmp_path)
    failures = made.train(GRID.runs())
    assert sorted(sentence.split()[0] for sentence in failures) == ['clean/plain_seed0', 'clean/plain_seed1']
    assert all(sentence.endswith('.log says why') for sentence in failures)
    assert {run.row for run in made.missing(GRID.runs())} == {'plain'}


def test_what_waits_for_a_failure_is_not_tried(tmp_path, trained):
    trained.failing = ('encoder.py',)
    failures = benchmark(tmp_path).train(GRID.runs())
    assert failures[0].startswith('encoder failed: ')
    assert failures[1:] == [f'clean/SNA_seed{seed} was not tried: it needs encoder' for seed in (0, 1)]
    assert not any(words[0] == 'sna.py' for words, _ in trained)


def test_a_folder_that_another_process_has_is_left_to_it(tmp_path, monkeypatch, capsys):
    made = benchmark(tmp_path)
    run = Run('clean', 'plain', 0)
    folder = tmp_path / 'work/made_up' / run.name
    hold = 'from mmfer.engine.run_lock import only_run_in\n'
    hold += f'with only_run_in({str(folder)!r}): print(1, flush=True); input()'
    with subprocess.Popen([sys.executable, '-c', hold], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdout.readline() == b'1\n'
        assert made.train([run]) == []
        assert f'{run.name} is left out: {folder} is in use by another training (process' in capsys.readouterr().out
        other.communicate(b'\n')
    monkeypatch.setattr(training.sys, 'executable', '/bin/false')
    assert made.missing([run]) == [run]
    assert made.train([run]) == [f'{run.name} failed: {tmp_path}/work/made_up/{run.name}.log says why']


def test_it_can_be_stopped_and_counts_the_time_of_all_attempts(tmp_path, monkeypatch):
    """A child that saves on SIGTERM, as a training does, and ends by itself when it is called again."""
    (tmp_path / 'child.py').write_text(
        'import pathlib, signal, sys, time\n'
        'saved = pathlib.Path(sys.argv[sys.argv.index("--work-dir") + 1] + ".saved")\n'
        'def save(*_):\n    saved.touch()\n    sys.exit(75)\n'
        'signal.signal(signal.SIGTERM, save)\n'
        'print("begun", flush=True)\n'
        'time.sleep(0 if saved.exists() else 60)\n'
    )
    popen = subprocess.Popen
    monkeypatch.setattr(
        training.subprocess,
        'Popen',
        lambda words, **kwargs: popen([sys.executable, str(tmp_path / 'child.py'), *words[4:]], **kwargs),
    )
    work_dir, trainings = tmp_path / 'run', Trainings()
    with ThreadPoolExecutor(1) as pool:
        going = pool.submit(trainings.train, ['x.py'], work_dir, HERE)
        log = Path(f'{work_dir}.log')
        for _ in range(200):
            if log.exists() and log.read_text():
                break
            time.sleep(0.05)
        trainings.stop()
        assert going.result(10) is None
    assert Path(f'{work_dir}.saved').exists()
    assert trainings.train(['x.py'], work_dir, HERE) is None  # nothing starts any more
    first = float(Path(f'{work_dir}.seconds').read_text())
    assert first > 0
    assert Trainings().train(['x.py'], work_dir, HERE) > first


def test_a_stop_begins_nothing_else(tmp_path, monkeypatch):
    begun = []

    def train(self, words, work_dir, place):
        begun.append(words[0])
        raise KeyboardInterrupt

    monkeypatch.setattr(Trainings, 'train', train)
    with pytest.raises(KeyboardInterrupt):
        benchmark(tmp_path).train(GRID.runs())
    assert begun == ['encoder.py']


def test_places_are_gpus_or_shares_of_the_cores(monkeypatch):
    monkeypatch.setattr(places, 'usable_cores', lambda: 8)
    monkeypatch.setattr(places, 'processor_name', lambda: 'Fast')
    monkeypatch.setattr(torch.cuda, 'device_count', lambda: 0)
    assert find_places() == [Place('Fast, 1 thread', dict(OMP_NUM_THREADS='1', MKL_NUM_THREADS='1'))] * 8
    assert [place.device for place in find_places(2)] == ['Fast, 4 threads'] * 2
    monkeypatch.setattr(torch.cuda, 'device_count', lambda: 2)
    monkeypatch.setattr(torch.cuda, 'get_device_name', lambda number: f'GPU {number}')
    monkeypatch.delenv('CUDA_VISIBLE_DEVICES', raising=False)
    assert [place.environment['CUDA_VISIBLE_DEVICES'] for place in find_places(3)] == ['0', '1', '0']
    monkeypatch.setenv('CUDA_VISIBLE_DEVICES', '4,7')
    assert find_places() == [
        Place('GPU 0', dict(CUDA_VISIBLE_DEVICES='4')),
        Place('GPU 1', dict(CUDA_VISIBLE_DEVICES='7')),
    ]


def test_machines_share_the_runs_out(monkeypatch):
    items = list(range(10))
    parts = [share_of(items, f'{i}/3') for i in (1, 2, 3)]
    assert sorted(item for part in parts for item in part) == items
    assert share_of(items, None) == items
    for name, value in dict(ID=12, MIN=10, STEP=2, COUNT=3).items():
        monkeypatch.setenv(f'SLURM_ARRAY_TASK_{name}', str(value))
    assert share_of(items, None) == parts[1]
    for typed in ('0/3', '4/3', '3', 'a/b', '1/0'):
        with pytest.raises(ValueError, match=f'--share {typed}: give which of how many, such as 2/5'):
            share_of(items, typed)
