"""tools/dataset_tools/faces.py: faces without a file of their own, as files that landmarks can be found in."""

import importlib
from pathlib import Path

import cv2
import numpy as np
import pytest
from layouts import LAYOUTS
from miniature import face_points
from mmengine.registry import DATASETS

from mmfer.datasets.landmarks.landmark_file import write_landmarks

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope='module')
def tool():
    return importlib.import_module('mmfer.cli.data.faces')


def config_of(tmp_path, kind, **more):
    """A config whose loaders name a landmark file that is still to be made."""
    loaders = dict(train='train', val='val')
    dataset = dict(type=f'mmfer.{kind}', data_root=str(tmp_path / 'data'), landmarks='landmarks68.npz', **more)
    path = tmp_path / 'config.py'
    path.write_text(
        '\n'.join(
            f'{loader}_dataloader = dict(dataset={dict(dataset, split=split)!r})' for loader, split in loaders.items()
        )
    )
    return path


@pytest.mark.parametrize(
    ('kind', 'more', 'faces'), [('FER2013', dict(indices=3), 42), ('ExpW', dict(holdout=dict(fraction=0.25)), 28)]
)
def test_landmarks_of_the_written_faces_belong_to_the_dataset(kind, more, faces, tool, tmp_path, capsys):
    LAYOUTS[kind](tmp_path / 'data')
    config, out = config_of(tmp_path, kind, **more), tmp_path / 'faces'
    tool.main([str(config), str(out)])
    said = capsys.readouterr().out
    assert f'{faces} faces' in said
    assert f'landmarks.py {out} {tmp_path}/data/landmarks68.npz --aligned' in said
    files = sorted(path.relative_to(out).as_posix() for path in out.rglob('*'))
    assert len(files) == faces

    write_landmarks(str(tmp_path / 'data/landmarks68.npz'), files, np.tile(face_points() * 30, (faces, 1, 1)))
    dataset = DATASETS.build(
        dict(
            type=f'mmfer.{kind}',
            data_root=str(tmp_path / 'data'),
            landmarks='landmarks68.npz',
            pipeline=[dict(type='mmfer.LoadFace')],
            **more,
        )
    )
    for row in (0, len(dataset) - 1):
        written = cv2.imread(str((out / str(dataset.columns['name'][row])).with_suffix('.png')))
        np.testing.assert_array_equal(written, dataset[row]['img'])

    (out / files[0]).write_bytes(b'kept')
    tool.main([str(config), str(out)])
    assert (out / files[0]).read_bytes() == b'kept'


def test_two_faces_of_one_name_are_refused(tool, tmp_path, capsys):
    LAYOUTS['RAFDB'](tmp_path / 'a')
    LAYOUTS['RAFDB'](tmp_path / 'b')
    config = tmp_path / 'config.py'
    parts = [dict(type='mmfer.RAFDB', data_root=str(tmp_path / name)) for name in 'ab']
    config.write_text(f"train_dataloader = dict(dataset=dict(type='mmfer.ConcatFaces', datasets={parts!r}))")
    with pytest.raises(SystemExit):
        tool.main([str(config), str(tmp_path / 'faces')])
    assert 'give a config with one of the data sets' in capsys.readouterr().err
    assert not (tmp_path / 'faces').exists()


def with_first_name(root, name):
    """FER+ whose first training face is called so."""
    LAYOUTS['FERPlus'](root)
    votes = root / 'fer2013new.csv'
    votes.write_text(votes.read_text().replace('fer0000000.png', name, 1))


@pytest.mark.parametrize('name', ['../../evil.png', '/tmp/evil.png', 'x\\..\\..\\evil.png', 'a/../../evil.png'])
def test_names_that_leave_the_folder_are_bad_lines(name, tool, tmp_path, capsys):
    with_first_name(tmp_path / 'data', name)
    before = sorted(tmp_path.rglob('*'))
    with pytest.raises(SystemExit):
        tool.main([str(config_of(tmp_path, 'FERPlus')), str(tmp_path / 'deep/faces')])
    said = capsys.readouterr().err
    assert 'fer2013new.csv has 1 bad line' in said
    assert 'the path leaves the data folder' in said
    assert sorted(tmp_path.rglob('*')) == sorted([*before, tmp_path / 'config.py'])


@pytest.mark.parametrize(
    ('name', 'why'),
    [
        ('out/a.png', 'out is a link that leads out of'),
        ('a' * 300 + '.png', 'is longer than 240 bytes'),
        ('fer0000001.jpg', 'fer0000001.jpg and fer0000001.png would both become'),
    ],
)
def test_names_that_cannot_be_written(name, why, tool, tmp_path, capsys):
    with_first_name(tmp_path / 'data', name)
    (tmp_path / 'faces').mkdir()
    (tmp_path / 'elsewhere').mkdir()
    (tmp_path / 'faces/out').symlink_to(tmp_path / 'elsewhere')
    with pytest.raises(SystemExit):
        tool.main([str(config_of(tmp_path, 'FERPlus')), str(tmp_path / 'faces')])
    assert why in capsys.readouterr().err
    assert not list((tmp_path / 'elsewhere').iterdir())
    assert [path.name for path in (tmp_path / 'faces').iterdir()] == ['out']
