"""`make gpu`: all of it runs in small on a CPU, and what cannot run without a GPU counts right."""

import json
import os
import re
import subprocess
import sys
import time
from importlib.metadata import requires, version
from pathlib import Path

import numpy as np
import pytest
import torch
from functional import naive
from PIL import Image
from tools.test_benchmarks import load

from benchmarks.data import make_faces
from benchmarks.gpu.__main__ import SECTIONS, main
from benchmarks.gpu.authors_form import PairScore, contrast, neighbour_distribution
from benchmarks.gpu.authors_input import MEAN, STD, PerFace
from benchmarks.gpu.cards import share_of_peak
from benchmarks.gpu.lanet import projected
from benchmarks.gpu.plan import Unit, work
from benchmarks.gpu.profile import STEP, counted
from benchmarks.gpu.results import Results, failed

ROOT = Path(__file__).parents[2]
MAY_BE_ZERO = ('passed', 'failed', 'loader workers')


def test_the_smoke_measures_every_section_once(tmp_path, capsys):
    """In one test, as workers of pytest would run the smoke once each."""
    folder = run_smoke(tmp_path)
    every_section_is_there(folder)
    it_says_what_is_asked_of_it(folder)
    a_second_call_measures_nothing_anew(folder, capsys)


def run_smoke(out: Path) -> Path:
    """What the smoke has written, in a process of its own as it is typed."""
    command = [sys.executable, '-m', 'benchmarks.gpu', '--smoke', '--out', str(out)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=540)
    assert done.returncode == 0, done.stderr[-2000:]
    (folder,) = out.iterdir()
    return folder


def every_section_is_there(smoke):
    assert {path.name for path in smoke.iterdir()} == {'table.md', *(f'{section}.json' for section in SECTIONS)}
    table = (smoke / 'table.md').read_text()
    for section, title in SECTIONS.items():
        rows = json.loads((smoke / f'{section}.json').read_text())
        assert rows, section
        assert f'## {title}\n' in table
        for key, row in rows.items():
            assert 'error' not in row, f'{section}: {key}: {row}'
            numbers = {n: v for n, v in row.items() if isinstance(v, int | float) and n not in MAY_BE_ZERO}
            assert numbers or 'refused' in row, f'{section}: {key}'
            assert all(value > 0 for value in numbers.values()), f'{section}: {key}: {numbers}'
            assert f'| {key} |' in table


def it_says_what_is_asked_of_it(smoke):
    def rows(section):
        return json.loads((smoke / f'{section}.json').read_text())

    assert sum('compiled' in key for key in rows('steps')) == 2
    plain, lanet = (row for key, row in rows('steps').items() if 'compiled' not in key)
    assert plain['ratio'] == plain['counted'] == 1
    assert lanet['counted'] == pytest.approx(2.2, abs=0.2)
    ours, theirs = rows('lanet').values()
    assert theirs["times mmfer's bf16"] == pytest.approx(theirs['ms'] / ours['ms'], rel=1e-2)
    tests = rows('tests')['pytest -m gpu']
    assert tests['ended'] == 'all of them'
    assert tests['failures'] == []
    assert tests['passed' if torch.cuda.is_available() else 'skipped'] > 20
    fed = [row for row in rows('input').values() if '% of that' in row]
    assert len(fed) == 4
    for row in fed:
        assert row['% of that'] == pytest.approx(100 * row['images/s'] / row['images/s with fixed tensors'], rel=1e-2)


def a_second_call_measures_nothing_anew(smoke, capsys):
    before = {path: path.read_bytes() for path in smoke.iterdir()}
    assert main(['--smoke', '--out', str(smoke.parent)]) == 0
    assert {path: path.read_bytes() for path in smoke.iterdir()} == before
    assert '0 new rows' in capsys.readouterr().out


@pytest.mark.skipif(torch.cuda.is_available(), reason='there is a GPU')
def test_without_a_gpu_it_says_how_to_try_it():
    with pytest.raises(SystemExit, match='to try everything in small on this machine: make gpu ARGS=--smoke$'):
        main([])


# --- what is measured, and when ---


def results_in(folder) -> Results:
    return Results(folder, {'one': 'One', 'two': 'Two'}, dict(device='a card', software='torch 2.6'))


def test_what_failed_is_tried_again_and_what_was_refused_is_not(tmp_path):
    results = results_in(tmp_path)
    results.add('one', 'a', dict(ms=1.23456789))
    results.add('one', 'b', failed(ValueError('no room\nmore')))
    results.add('one', 'c', dict(refused='a hook'))
    again = results_in(tmp_path)
    assert again.missing('one', ['a', 'b', 'c', 'd']) == ['b', 'd']
    assert again.rows('one')['a'] == dict(ms=1.235, software='torch 2.6')
    assert again.rows('one')['b']['error'] == 'ValueError: no room'
    assert again.failures() == ['one: b: ValueError: no room']
    again.forget('one')
    assert again.missing('one', ['a']) == ['a']


def test_a_table_has_a_blank_where_nothing_was_measured(tmp_path):
    results = results_in(tmp_path)
    results.add('two', 'a', dict(error='x | y'))
    results.add('two', 'b', dict(ms=1234.5, share=None))
    assert (tmp_path / 'table.md').read_text().splitlines() == [
        '# a card', '', '## Two', '', 'torch 2.6.', '',
        '|  | ms | share | error |', '| --- | --- | --- | --- |', '| a |  |  | x \\| y |', '| b | 1,234 |  |  |',
    ]  # fmt: skip


def test_the_most_valued_come_first_and_what_does_not_fit_waits(tmp_path):
    begun, said, results = [], [], results_in(tmp_path)

    def unit(key, rank, seconds):
        def measure(wanted, left):
            begun.append((key, wanted))
            yield key, dict(ms=left)

        return Unit('one', (key,), rank, seconds, measure)

    units = [unit('late', 2, 1), unit('long', 1, 100), unit('early', 0, 1)]
    assert work(units, results, time.monotonic() + 50, said.append) == 2
    assert begun == [('early', ['early']), ('late', ['late'])]
    assert 'one: no time for long (about 100 s): call again' in said
    assert work(units, results, time.monotonic() + 500, said.append) == 1
    assert begun[2:] == [('long', ['long'])]


def test_a_section_that_fails_leaves_a_row_and_the_others_go_on(tmp_path):
    def broken(wanted, left):
        yield 'a', dict(ms=1.0)
        raise RuntimeError('out of memory')

    units = [
        Unit('one', ('a', 'b'), 0, 0, broken),
        Unit('two', ('c',), 1, 0, lambda wanted, left: iter([('c', dict(ms=2.0))])),
    ]
    results = results_in(tmp_path)
    assert work(units, results, time.monotonic() + 50, lambda line: None) == 3
    assert results.rows('one')['a']['ms'] == 1
    assert results.rows('one')['b']['error'] == 'RuntimeError: out of memory'
    assert results.rows('two')['c']['ms'] == 2


def test_when_the_minutes_are_over_it_stops_and_keeps_what_it_has(tmp_path):
    def endless(wanted, left):
        yield 'a', dict(ms=1.0)
        try:
            time.sleep(60)
        except Exception:
            pytest.fail('caught as a failure of the model')

    units = [Unit('one', ('a', 'b'), 0, 0, endless), Unit('two', ('c',), 1, 0, endless)]
    said, results, begun = [], results_in(tmp_path), time.monotonic()
    assert work(units, results, begun + 0.2, said.append) == 1
    assert time.monotonic() - begun < 30
    assert said[-1] == 'the minutes are over: call again for the rest'
    assert results_in(tmp_path).missing('one', ['a', 'b']) == ['b']
    assert results.rows('two') == {}


def test_launches_and_waits_are_those_of_the_step():
    events = [
        ('cudaLaunchKernel', 5, 1),  # before it
        (STEP, 10, 80),
        (STEP, 20, 100),  # on the card
        *[('cudaLaunchKernel', at, 1) for at in (11, 30, 90)],
        ('cudaLaunchKernelExC_v11060', 40, 1),
        ('cuLaunchKernel', 41, 1),
        ('void gemm_kernel', 45, 9),
        ('cudaMemcpyAsync', 50, 1),
        ('cudaStreamSynchronize', 51, 1),
        ('cudaMemcpy', 52, 1),
        ('cudaDeviceSynchronize', 95, 9),  # behind it
        ('aten::add', 60, 1),
    ]
    assert counted(events) == (5, 2)


def test_a_card_that_is_not_listed_has_no_share_of_its_peak():
    assert share_of_peak('NVIDIA H100 80GB HBM3', 989.4e12, 2) == 50
    assert share_of_peak('NVIDIA Of-Tomorrow', 1e12, 1) is None


def test_eighty_epochs_are_projected_from_steps_and_what_lies_between():
    times = [('epoch', 0, 10.0), ('steps', 4, 30.0), ('epoch', 4, 40.0), ('steps', 8, 42.0), ('end', 8, 45.0)]
    row = projected(times, begun=3.0, batch=128)
    assert row['ms'] == 500
    assert row['s between epochs'] == 3
    assert row['s before the first'] == 7
    assert row['of steps'] == 4
    assert row['minutes of 80 epochs'] == pytest.approx(80 * (95 * 0.5 + 3) / 60)


# --- the authors' form is LA-Net ---


def test_the_authors_form_contrasts_as_the_equations_do():
    query, keys = (torch.nn.functional.normalize(torch.randn(5, 4).double(), dim=1) for _ in range(2))
    queue = torch.nn.functional.normalize(torch.randn(7, 4).double(), dim=1)
    labels, queue_labels = torch.tensor([0, 1, 0, 2, 9]), torch.tensor([0, 1, 2, 2, 1, 0, 5])
    expected = naive.queue_contrast(query, keys, queue, labels, queue_labels)
    assert contrast(query, keys, queue, labels, queue_labels).item() == pytest.approx(float(expected))


def test_the_authors_form_estimates_distributions_as_the_equations_do():
    features, probs = torch.randn(12, 8).double(), torch.randn(12, 3).double().softmax(1)
    sample_idx = torch.tensor([0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 3])  # one face twice
    scores = PairScore(8).double()(features)
    assert scores.shape == (12, 12)
    neighbours = naive.nearest_neighbours(features, sample_idx, 8)
    table = torch.tensor(neighbours)
    expected = naive.neighbour_average(scores.gather(1, table), table, torch.ones_like(table).bool(), probs)
    torch.testing.assert_close(neighbour_distribution(features, scores, probs, sample_idx), expected)


@pytest.mark.parametrize('flipped', [False, True])
def test_the_authors_input_moves_landmarks_with_the_face(tmp_path, monkeypatch, flipped):
    make_faces(tmp_path, 2)
    faces = PerFace(tmp_path, 200)
    monkeypatch.setattr('torchvision.transforms.RandomResizedCrop.get_params', lambda *_: (0, 0, 100, 100))
    monkeypatch.setattr(torch, 'rand', lambda *_: torch.tensor(0.0 if flipped else 1.0))
    faces.erase = faces.jitter = lambda image: image
    image, label, row, heatmaps = faces[1]
    assert (label, row) == (faces.labels[1], 1)
    with Image.open(faces.files[1]) as file:
        stored = torch.from_numpy(np.array(file.convert('RGB'))).permute(2, 0, 1) / 255
    stored = stored.flip(2) if flipped else stored
    shrunk = torch.nn.functional.avg_pool2d(image, 2) * torch.tensor(STD)[:, None, None]
    assert (shrunk + torch.tensor(MEAN)[:, None, None] - stored).abs().mean() < 0.02
    tip = faces.points[1][30] * (-1, 1) + (99, 0) if flipped else faces.points[1][30]
    y, x = divmod(heatmaps[13].argmax().item(), 50)
    assert abs(2 * x + 0.5 - tip[0]) < 1.1  # 50 cells for 100 px
    assert abs(2 * y + 0.5 - tip[1]) < 1.1


# --- wheels, and what is typed ---


@pytest.fixture(scope='module')
def wheels():
    return load('gpu_wheels')


def plain(requirement: str) -> str:
    return re.match(r'[\w.-]+', requirement)[0].lower().replace('_', '-')


def test_the_wheels_and_what_is_granted_are_all_that_is_needed(wheels):
    known = {plain(name) for name in (*wheels.LACKING, *wheels.GRANTED)}
    for name in ('mmfer', *wheels.LACKING):
        assert version(name)
        lines = [line for line in requires(name) or () if not re.search(r'extra ==|python_version|win32', line)]
        needed = {plain(line) for line in lines}
        assert needed - known <= {'face-alignment'}, name  # which only the detector of landmarks imports


def test_no_torch_no_opencv_and_no_host_of_an_index_is_named(wheels):
    assert not {'torch', 'torchvision', 'opencv-python', 'opencv-python-headless'} & set(wheels.LACKING)
    text = Path(wheels.__file__).read_text()
    assert not re.search(r'https?://|index-url|\.org\b', text)


@pytest.mark.parametrize('bare', [False, True])
def test_make_takes_the_environment_or_the_wheels(tmp_path, bare):
    """What would be typed, in a clone with a .venv or with nothing but wheels."""
    (tmp_path / 'Makefile').write_text((ROOT / 'Makefile').read_text())
    (tmp_path / 'setup.py').touch()
    if bare:
        (tmp_path / '.whl').mkdir()
        (tmp_path / '.whl/mmengine.whl').touch()
    else:
        (tmp_path / '.venv').mkdir()
        (tmp_path / '.venv/.installed').touch()
    command = ['make', '-n', 'gpu', 'ARGS=--smoke', 'PYTHON=python9']
    env = {name: value for name, value in os.environ.items() if name not in ('MAKEFLAGS', 'MAKELEVEL', 'MFLAGS')}
    typed = subprocess.run(
        command, cwd=tmp_path, env=env, capture_output=True, text=True, check=True
    ).stdout.splitlines()
    if bare:
        assert typed[0] == 'python9 benchmarks/gpu_wheels.py --unpack .site'
        assert typed[-1] == 'PYTHONPATH=.site python9 -m benchmarks.gpu --smoke'
    else:
        assert typed == ['.venv/bin/python -m benchmarks.gpu --smoke']
