"""tools/dataset_tools/check.py finds what was put there and ends with 1; where nothing is wrong it ends with 0."""

import csv
from pathlib import Path

import cv2
import numpy as np
import pytest
from tools.conftest import ROOT, load_tool

from mmfer.apis import read_config
from mmfer.apis.data.dataset_check import check_datasets
from mmfer.datasets.synthetic_faces.dataset import draw_columns

CONFIG = str(ROOT / 'configs/lanet/r18_rafdb_96px_12e.py')
FOLDER = 'basic/Image/aligned'


@pytest.fixture(scope='module')
def drawn():
    """Faces that no two of are alike; of each split every person once."""
    return {
        split: draw_columns(
            split, num=count, size=64, seed=2, imbalance=0.0, blend=0.0, difficulty=0.7, faces_per_person=1
        )
        for split, count in (('train', 40), ('test', 12))
    }


@pytest.fixture
def root(tmp_path, drawn) -> Path:
    """RAF-DB's layout: 40 faces to train and 12 to test."""
    (tmp_path / FOLDER).mkdir(parents=True)
    (tmp_path / 'basic/EmoLabel').mkdir()
    lines, names, points = [], [], []
    for split, (images, columns) in drawn.items():
        for number, image in enumerate(images, 1):
            names.append(f'{split}_{number:05d}_aligned.jpg')
            lines.append(f'{split}_{number:05d}.jpg {columns["label"][number - 1] + 1}\n')
            cv2.imwrite(str(tmp_path / FOLDER / names[-1]), image, [cv2.IMWRITE_JPEG_QUALITY, 95])
        points.append(columns['landmarks'])
    (tmp_path / 'basic/EmoLabel/list_patition_label.txt').write_text(''.join(lines))
    np.savez(tmp_path / 'landmarks68.npz', names=names, points=np.concatenate(points), score=np.ones(52, np.float32))
    return tmp_path


def path(root: Path, name: str) -> str:
    return str(root / FOLDER / f'{name}_aligned.jpg')


@pytest.fixture
def spoilt(root) -> Path:
    """With one of everything that can be wrong."""
    Path(path(root, 'train_00007')).write_bytes(Path(path(root, 'train_00003')).read_bytes())
    face = cv2.imread(path(root, 'train_00010'))
    cv2.imwrite(path(root, 'test_00002'), cv2.resize(face, (48, 48), interpolation=cv2.INTER_AREA))
    Path(path(root, 'train_00020')).write_bytes(b'')
    png = cv2.imencode('.png', face)[1].tobytes()
    Path(path(root, 'train_00030')).write_bytes(png[:200] + bytes(60) + png[260:])
    with np.load(root / 'landmarks68.npz') as rows:
        rows = dict(rows)
    rows['points'][4] *= np.nan
    rows['points'][5] += 64
    rows['points'][6, :, 1] = 64 - rows['points'][6, :, 1]  # upside down
    rows['score'][8] = 0
    np.savez(root / 'landmarks68.npz', **rows)
    return root


def options(root: Path) -> dict[str, object]:
    loaders = ('train', 'val', 'test')
    return {
        f'{loader}_dataloader.dataset.{key}': value
        for loader in loaders
        for key, value in dict(data_root=str(root), landmarks='landmarks68.npz').items()
    }


def run(tool, root: Path, out: Path, *more: str) -> None:
    words = [f'{key}={value}' for key, value in options(root).items()]
    tool.main([CONFIG, '--out', str(out), '--cfg-options', *words, *more])


@pytest.fixture
def tool():
    return load_tool('dataset_tools/check')


def test_everything_wrong_is_found(spoilt):
    check = check_datasets(read_config(CONFIG, options(spoilt)))
    train, test = check.sets
    assert (train.name, test.name) == ('RAFDB train', 'RAFDB test')  # val and test are the same set
    assert (len(train.dataset), len(test.dataset)) == (39, 12)  # the empty one is left out

    def name(place: int, row: int) -> str:
        return str(check.sets[place].dataset.columns['name'][row])[:-12]

    places = [(image.place, image.fault) for image in train.bad]
    labels = 'list_patition_label.txt'
    assert places == [
        (f'{path(spoilt, "train_00020")} ({labels}:20)', 'empty (0 bytes)'),
        (f'{path(spoilt, "train_00030")} ({labels}:30)', 'cut off or damaged'),
    ]
    assert test.bad == []
    found = [
        (name(pair.sets[0], pair.rows[0]), name(pair.sets[1], pair.rows[1]), pair.similarity == 1)
        for pair in check.pairs
    ]
    assert found == [('train_00010', 'test_00002', False), ('train_00003', 'train_00007', True)]
    assert [name(0, row) for row in np.flatnonzero(train.off_image)] == ['train_00006']
    assert [name(0, row) for row in train.unusual()] == ['train_00007']
    assert [name(0, row) for row in train.turned()] == ['train_00007']
    assert sorted(name(0, row) for row in np.flatnonzero(np.isnan(train.outlying))) == ['train_00005', 'train_00009']
    assert not len(test.unusual())
    there, published = train.published()
    assert (there.sum(), published.tolist()) == (40, [1290, 281, 717, 4772, 1982, 705, 2524])


def test_inner_data_of_a_jpeg_are_missing(root):
    """Their header and end are in order; the decoder makes the rest grey, or shifts it, and returns a picture."""
    for name, damage in (
        ('train_00012', lambda data, half: data[:half] + b'\xff\xd9'),
        ('train_00013', lambda data, half: data[:half] + bytes(200) + data[half + 200 :]),
    ):
        file = Path(path(root, name))
        data = file.read_bytes()
        file.write_bytes(damage(data, len(data) * 3 // 4))
        assert cv2.imread(str(file)) is not None
    train, test = check_datasets(read_config(CONFIG, options(root))).sets
    assert [(image.row, image.fault.partition(' (')[0]) for image in train.bad] == [
        (11, 'cut off or damaged'),
        (12, 'damaged'),
    ]
    assert test.bad == []


def test_the_tool_says_so_on_one_page_with_pictures(spoilt, tool, tmp_path, capsys):
    out = tmp_path / 'out'
    with pytest.raises(SystemExit) as stopped:
        run(tool, spoilt, out)
    assert stopped.value.code == 1
    said = capsys.readouterr().out
    said = said[said.index(CONFIG) :]
    for line in (
        'WRONG  RAFDB train: 40 faces are listed, 12,271 published',
        'ok     RAFDB train: 38 images of 64 x 64 pixels were decoded',
        'ok     RAFDB test: 12 images of 48 x 48 to 64 x 64 pixels were decoded',
        'WRONG  RAFDB train, images that cannot be used: 2',
        f'{path(spoilt, "train_00030")} (list_patition_label.txt:30): cut off or damaged',
        'WRONG  RAFDB test, pictures that are in RAFDB train, too: 1, ',
        'note   RAFDB train, pictures that are there twice: 1, ',
        ': the same pixels',
        'note   RAFDB train: 37 of 39 faces have landmarks, 1 not found, 1 NaN',
        'WRONG  RAFDB train, landmarks that are not on their image: 1',
        '         train_00006_aligned.jpg',
        'note   RAFDB train, landmarks that do not stand upright: 1\n         train_00007_aligned.jpg',
        'ok     RAFDB test, landmarks that do not stand upright: 0',
        '4 robust standard deviations: 1\n         train_00007_aligned.jpg: ',
        'note   who the people are is not known',
        'next: python tools/dataset_tools/browse.py',
    ):
        assert line in said
    assert len(said.splitlines()) < 60
    assert max(map(len, said.split('every case')[0].replace(str(spoilt), 'data').splitlines())) < 150
    report = (out / 'report.txt').read_text()
    assert 'neutral: ' in report  # all seven classes; the page stops at three
    assert 'neutral: ' not in said
    assert {file.name for file in out.iterdir()} == {'report.txt', 'labels.png', 'pairs.png', 'landmarks.png'}
    for file in out.glob('*.png'):
        assert min(cv2.imread(str(file)).shape[:2]) > 100


def test_of_drawn_faces_nothing_is_wrong(tool, tmp_path, capsys):
    words = [
        f'{loader}_dataloader.dataset.{key}={value}'
        for loader in ('train', 'val', 'test')
        for key, value in dict(num=24, size=48, cache_dir=tmp_path).items()
    ]
    config = str(ROOT / 'configs/lanet/r18_synthfaces_sym30.py')
    tool.main([config, '--out', str(tmp_path / 'out'), '--cfg-options', *words])
    said = capsys.readouterr().out
    assert 'nothing is wrong' in said
    assert 'WRONG' not in said
    assert 'people who are in both SyntheticFaces train and SyntheticFaces test: 0' in said
    assert 'label noise' not in said  # it is not on disk
    assert not (tmp_path / 'out/pairs.png').exists()


def test_people_in_two_sets_and_one_class_more_are_found(root, tmp_path):
    with (root / 'faces.csv').open('w', newline='') as stream:
        table = csv.writer(stream)
        table.writerow(['name', 'label', 'split', 'identity'])
        for split, people in (('train', 'abcd'), ('test', 'cde')):
            table.writerows(
                [f'{FOLDER}/{split}_{i:05d}_aligned.jpg', 'happy' if i % 2 else 'sad', split, person]
                for i, person in enumerate(people, 1)
            )
    config = tmp_path / 'people.py'
    config.write_text(f"""
pipeline = [dict(type='mmfer.LoadFace'), dict(type='mmfer.PackFace')]
data = dict(type='mmfer.CsvFaces', data_root={str(root)!r}, pipeline=pipeline)
train_dataloader = dict(dataset=dict(type='mmfer.ConcatFaces', datasets=[dict(**data, split='train')]))
test_dataloader = dict(dataset=dict(**data, split='test'))
model = dict()
""")
    check = check_datasets(read_config(config))
    assert check.people == {(0, 1): ['c', 'd']}
    assert check.sets[0].by_class() == {'happiness': 2, 'sadness': 2}
    assert check.sets[0].published() is None


def test_a_config_without_data_is_refused(tool, tmp_path, capsys):
    (tmp_path / 'none.py').write_text("train_dataloader = None\nmodel = dict(type='X')\n")
    with pytest.raises(SystemExit):
        tool.main([str(tmp_path / 'none.py')])
    assert 'none.py has no dataset of mmfer in its loaders: there is nothing to check' in capsys.readouterr().err


def test_landmarks_that_are_wrong_alike(root, tool, tmp_path, capsys):
    with np.load(root / 'landmarks68.npz') as kept:
        kept = dict(kept)
    exchanged = dict(kept, points=kept['points'][..., ::-1])
    np.savez(root / 'landmarks68.npz', **exchanged)
    with pytest.raises(SystemExit) as end:
        run(tool, root, tmp_path / 'out')
    assert end.value.code == 1
    page = capsys.readouterr().out
    assert 'WRONG  RAFDB train: landmarks of 40 of 40 faces have x and y exchanged' in page
    assert f'--import {root}/landmarks68.npz {root}/landmarks68_xy.npz --swap-xy, and name the new file' in page
    assert 'WRONG  RAFDB test: landmarks of 12 of 12 faces have x and y exchanged' in page

    some = kept['points'].copy()
    some[:10] = some[:10, :, ::-1]
    np.savez(root / 'landmarks68.npz', **dict(kept, points=some))
    with pytest.raises(SystemExit):
        run(tool, root, tmp_path / 'out')
    page = capsys.readouterr().out
    assert 'WRONG  RAFDB train: landmarks of 10 of 40 faces do not stand upright' in page
    assert f'find these anew (docs/landmarks.md), or give their rows score 0\n         {kept["names"][0]}\n' in page
    assert 'ok     RAFDB test, landmarks that do not stand upright: 0' in page

    np.savez(root / 'landmarks68.npz', **dict(kept, points=kept['points'] / 2))
    with pytest.raises(SystemExit):
        run(tool, root, tmp_path / 'out')
    assert 'WRONG  RAFDB train, landmarks in the upper left corner of their image: 40; do' in capsys.readouterr().out
