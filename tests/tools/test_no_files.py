"""Pipes, devices, folders and huge files in the place of pictures: named by every command, which waits for none."""

import csv
import os
import re
import signal
from pathlib import Path

import numpy as np
import pytest
from miniature import face_points, make_rafdb
from tools.blobs import RED_BLOB, plugin  # noqa: F401  a fixture
from tools.conftest import CONFIG, load_tool, small

from mmfer.apis import find_pictures
from mmfer.apis.data.folder_alignment import align_folder
from mmfer.apis.data.landmark_extraction import extract_landmarks
from mmfer.datasets.landmarks.landmark_file import write_landmarks

FAULTS = {
    'train_00001_aligned.jpg': 'a pipe',
    'train_00002_aligned.jpg': 'a device (a link to /dev/zero)',
    'train_00003_aligned.jpg': 'a folder',
    'train_00004_aligned.jpg': 'too large (12,000,000,000 bytes, more than 1,073,741,824; shrink it)',
}


def spoil(folder: Path) -> None:
    for name in FAULTS:
        (folder / name).unlink()
    pipe, device, directory, sparse = (folder / name for name in FAULTS)
    os.mkfifo(pipe)
    device.symlink_to('/dev/zero')
    directory.mkdir()
    with sparse.open('wb') as stream:
        stream.write(b'\xff\xd8\xff\xe0')
        stream.truncate(12_000_000_000)


@pytest.fixture
def data(tmp_path) -> Path:
    root = Path(make_rafdb(tmp_path / 'data', per_class=4, size=32, test_per_class=2))
    spoil(root / 'basic/Image/aligned')
    return root


@pytest.fixture(autouse=True)
def _nobody_waits_for_ever():
    def ring(*_):
        raise AssertionError('it waits')

    before = signal.signal(signal.SIGALRM, ring)
    signal.alarm(120)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


def test_training_names_all_of_them_or_leaves_them_out(data, tools, stops, tmp_path, capsys):
    words = [CONFIG, '--work-dir', str(tmp_path / 'run')]
    said = stops(tools.train, [*words, *small(data)])
    assert said.startswith('mmfer: error: 4 of the 28 images that RAFDB train lists and 14 images')
    for line, (name, fault) in enumerate(FAULTS.items(), 1):
        assert f'{data}/basic/Image/aligned/{name} (list_patition_label.txt:{line}): {fault}' in said
    options = dict(train_cfg__max_epochs=1, train_dataloader__dataset__on_bad_image='skip')
    tools.train([*words, *small(data, **options)])
    assert (tmp_path / 'run/metrics.json').exists()


@pytest.mark.parametrize('tool', ['browse', 'faces', 'pack'])
def test_a_command_that_reads_pictures_names_one(data, tool, stops, tmp_path):
    target = {'browse': [], 'faces': [tmp_path / 'faces'], 'pack': [tmp_path / 'x.pack']}[tool]
    said = stops(load_tool(f'dataset_tools/{tool}').main, [CONFIG, *target, *small(data)])
    place = re.escape(f'{data}/basic/Image/aligned/')
    faults = '|'.join(re.escape(f'{name} is {fault}') for name, fault in FAULTS.items())
    assert re.fullmatch(
        f'mmfer: error: {place}({faults}); restore it from its source, or take its row out of the label file', said
    )


def test_check_lists_all_of_them(data, tmp_path, capsys):
    with pytest.raises(SystemExit):
        load_tool('dataset_tools/check').main([CONFIG, '--out', str(tmp_path / 'check'), *small(data)])
    report = (tmp_path / 'check/report.txt').read_text()
    for name, fault in FAULTS.items():
        assert re.search(f'{name} .*: {re.escape(fault)}', report)


def test_tools_for_folders_give_the_reason(data, plugin, tmp_path):  # noqa: F811
    folder = data / 'basic/Image/aligned'
    there = {name: fault for name, fault in FAULTS.items() if fault != 'a folder'}  # which is looked into
    names = sorted(path.name for path in folder.iterdir() if not path.is_dir())
    assert [path.name for path in find_pictures(folder)] == names
    write_landmarks(str(tmp_path / 'all.npz'), names, np.tile(face_points() * 32, (len(names), 1, 1)))
    found = extract_landmarks(folder, tmp_path / 'found.npz', RED_BLOB)
    aligned = align_folder(folder, tmp_path / 'all.npz', tmp_path / 'out')
    for failures in (found.failures, aligned.failures):
        with failures.open() as stream:
            reasons = dict(csv.reader(stream))
        assert {name: reasons[name] for name in there} == there


def test_predict_says_why_it_skips(data, run, tools, tmp_path, capsys):
    folder = data / 'basic/Image/aligned'
    words = ['--config', run.config, '--checkpoint', str(run.checkpoint), '--out', str(tmp_path), *run.options]
    tools.predict([str(folder), *words])
    said = capsys.readouterr().out
    for name, fault in FAULTS.items():
        if fault != 'a folder':
            assert f'skipped {folder / name}: cannot be read as a picture: {fault}' in said
    with pytest.raises(SystemExit):
        tools.predict([str(folder / 'train_00001_aligned.jpg'), *words])
    assert capsys.readouterr().err.splitlines()[-1] == (
        f'mmfer: error: {folder}/train_00001_aligned.jpg is a pipe; give a file'
    )
