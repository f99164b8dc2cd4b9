"""Names that are no UTF-8, have dollars, line ends or escapes, from one command to the next: none ends one."""

import os
from pathlib import Path

import cv2
import numpy as np
import pytest
from e2e.clone import NARROW, ROOT, options
from miniature import face_points
from tools.conftest import load_tool

from mmfer.apis.data.image_folder import image_names
from mmfer.datasets.landmarks.landmark_file import read_landmarks, write_landmarks
from mmfer.datasets.reading.csv_cells import read_csv_rows

ODD = [
    b'no UTF-8 \xff\x80.jpg',
    b'a$x$b.jpg',
    b'line\nend.jpg',
    b'esc\x1b[31m.jpg',
    b'Andr\x65\xcc\x81, "q".jpg',
    b'=1.jpg',
]
CLASSES = ['surprise', 'fear', 'disgust', 'happy', 'sad', 'angry', 'neutral']
PIPELINE = "[dict(type='mmfer.LoadFace', size=32), dict(type='mmfer.PackFace')]"


@pytest.fixture
def undrawn() -> None:
    """The pictures of a run have its name, too: here they are drawn."""


@pytest.fixture
def config(tmp_path, monkeypatch) -> str:
    """A config of folders of faces that have such names, in a folder that has such a name, as the current one."""
    home = tmp_path / 'a$home$'
    random = np.random.default_rng(0)
    for split in ('train', 'test'):
        for word in CLASSES:
            folder = home / 'data' / split / word
            folder.mkdir(parents=True)
            for name in ODD:
                pixels = random.integers(0, 255, (32, 32, 3), dtype=np.uint8)
                with open(os.fsencode(folder) + b'/' + name, 'wb') as stream:
                    stream.write(cv2.imencode('.jpg', pixels)[1].tobytes())
    monkeypatch.chdir(home)
    loader = 'batch_size=8, num_workers=0, persistent_workers=False'
    faces = "_delete_=True, type='mmfer.FolderFaces', data_root='data', metainfo=dict(classes='rafdb')"
    faces += f', pipeline={PIPELINE}'
    Path('a$b$.py').write_text(
        f'_base_ = {str(ROOT / "configs/baseline/r18_rafdb.py")!r}\n'
        f"train_dataloader = dict({loader}, dataset=dict({faces}, split='train'))\n"
        f"val_dataloader = dict({loader}, dataset=dict({faces}, split='test'))\n"
        'test_dataloader = val_dataloader\n'
        'data_preprocessor = dict(size=32)\n'
        'train_cfg = dict(max_epochs=1)\n'
    )
    return 'a$b$.py'


def names_of(table: str, column: int = 0) -> set[str]:
    _, *rows = read_csv_rows(table)
    return {row[column] for row in rows}


def test_from_one_command_to_the_next(config, capsys):
    words = options(NARROW | {'model.pretrained': None})
    load_tool('train').main([config, '--work-dir', 'run', *words])
    assert Path('run/metrics.json').exists()
    assert Path('run/learning_curves.png').exists()
    load_tool('test').main(['run/epoch_1.pth'])
    names = {os.fsdecode(f'test/{word}/'.encode() + name) for word in CLASSES for name in ODD}
    assert names_of('run/test/predictions.csv') == names
    load_tool('predict').main(['data/test', '--checkpoint', 'run/epoch_1.pth', '--aligned', '--out', 'predicted'])
    assert names_of('predicted/predictions.csv') == {f'data/{name}' for name in names}
    assert Path('predicted/sheet_01.png').exists()
    load_tool('dataset_tools/check').main([config, '--out', 'check'])
    assert Path('check/labels.png').exists()
    load_tool('dataset_tools/browse').main([config, '--out', 'browse.png'])
    load_tool('dataset_tools/faces').main([config, 'faces'])
    load_tool('dataset_tools/pack').main([config, 'x.pack', '--split', 'train'])
    load_tool('analysis_tools/noise_report').main([config, 'run/epoch_1.pth', *words])
    load_tool('analysis_tools/neighbours').main([config, 'run/epoch_1.pth', '--faces', '2', *words])

    there = image_names('data')
    write_landmarks('data/landmarks68.npz', there, np.tile(face_points() * 32 - 0.5, (len(there), 1, 1)))
    load_tool('dataset_tools/align').main(['data', 'data/landmarks68.npz', 'aligned', '--png', '--jobs', '1'])
    moved = read_landmarks('aligned/landmarks68.npz').names.tolist()
    assert moved == [f'{os.path.splitext(name)[0]}.png' for name in there]
    packed = {'train_dataloader.dataset.packed': 'x.pack', 'train_dataloader.dataset.landmarks': 'landmarks68.npz'}
    load_tool('train').main(
        [config, '--work-dir', 'again', *words, *(f'{key}={value}' for key, value in packed.items())]
    )
    assert Path('again/metrics.json').exists()
    said = capsys.readouterr()
    assert 'Traceback' not in said.out + said.err
    assert '\x1b[31m' not in said.out
