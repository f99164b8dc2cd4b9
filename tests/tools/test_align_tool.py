"""tools/dataset_tools/align.py: dots drawn on faces are found where the template and the moved landmarks say."""

import csv
import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from miniature import face_points, make_rafdb
from tools.blobs import contents
from tools.conftest import CONFIG, load_tool, small

from mmfer.apis.data.folder_alignment import align_folder
from mmfer.datasets import RAFDB
from mmfer.datasets.landmarks.landmark_file import read_landmarks, write_landmarks

DOTS = ((36, 37, 38, 39, 40, 41), (42, 43, 44, 45, 46, 47), (48, 54))  # eyes and mouth
TARGETS = {'rafdb': ((31, 40), (69, 40), (50, 78)), 'arcface112': ((38.3, 51.7), (73.5, 51.5), (56.1, 92.3))}
"""Where these lie on a face of 100 and of 112 px, centres of pixels at integers."""


def draw(random, shape=(180, 200)):
    """A grey picture with a red, a green and a blue dot on eyes and mouth of a turned face; BGR, and the points."""
    angle, scale = random.uniform(-0.6, 0.6), random.uniform(50, 130)
    turn = scale * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    points = (face_points().astype(float) - 0.5) @ turn.T + np.array(shape[::-1]) / 2 + random.uniform(-9, 9, 2)
    y, x = np.mgrid[: shape[0], : shape[1]]
    image = np.full((*shape, 3), 60.0)
    for channel, group in zip((2, 1, 0), DOTS, strict=True):
        u, v = points[list(group)].mean(0)
        image[..., channel] += 190 * np.exp(-((x - u) ** 2 + (y - v) ** 2) / 2 / (scale / 25) ** 2)
    return image.round().clip(0, 255).astype(np.uint8), points


def find(image):
    """Centres of the red, green and blue dot."""
    y, x = np.mgrid[: image.shape[0], : image.shape[1]]
    weights = [np.clip(image[..., channel] - image.min(2).astype(float) - 20, 0, None) for channel in (2, 1, 0)]
    return np.array([[(x * weight).sum(), (y * weight).sum()] / weight.sum() for weight in weights])


@pytest.fixture
def faces(tmp_path):
    """Twelve faces in two subfolders, with their landmarks."""
    random, names, points = np.random.default_rng(0), [], []
    for i in range(12):
        name = f'{"ab"[i % 2]}/face {i:02}.{("png", "jpg", "tif")[i % 3]}'
        image, face = draw(random)
        (tmp_path / 'in' / name).parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(tmp_path / 'in' / name), image)
        names.append(name)
        points.append(face)
    write_landmarks(str(tmp_path / 'in.npz'), names, points, np.linspace(0.5, 1, 12))
    return tmp_path


@pytest.mark.parametrize(('template', 'size'), [('rafdb', None), ('arcface112', None), ('rafdb', 61)])
def test_dots_land_where_template_and_moved_landmarks_say(faces, template, size):
    done = align_folder(faces / 'in', faces / 'in.npz', faces / 'out', template, size, png=True)
    moved = read_landmarks(str(done.landmarks))
    assert moved.names.tolist() == [f'{"ab"[i // 6]}/face {2 * (i % 6) + i // 6:02}.png' for i in range(12)]
    np.testing.assert_allclose(np.sort(moved.score), np.linspace(0.5, 1, 12), rtol=1e-6)
    errors, near = [], []
    for name, points in zip(moved.names, moved.points, strict=True):
        aligned = cv2.imread(str(faces / 'out' / name))
        side = {'rafdb': 100, 'arcface112': 112}[template]
        assert aligned.shape == (size or side, size or side, 3)
        dots = find(aligned)
        errors.append(dots - [points[list(group)].mean(0) for group in DOTS])
        near.append((dots + 0.5) * side / (size or side) - 0.5 - TARGETS[template])
    assert np.abs(errors).max() < 0.25
    assert np.abs(np.mean(errors, axis=(0, 1))).max() < 0.1, 'half a pixel of another convention'
    assert np.abs(near).max() < 8, 'the drawn face has not quite the proportions of the templates'


def test_names_and_kinds(faces):
    align_folder(faces / 'in', faces / 'in.npz', faces / 'out', quality=30)
    written = contents(faces / 'out')
    expected = {f'{"ab"[i % 2]}/face {i:02}.{("png", "jpg", "jpg")[i % 3]}' for i in range(12)}
    assert set(written) == expected | {'alignment.json', 'failures.csv', 'landmarks68.npz'}
    assert set(read_landmarks(str(faces / 'out' / 'landmarks68.npz')).names) == expected
    assert all(
        data.startswith({'png': b'\x89PNG', 'jpg': b'\xff\xd8'}[name[-3:]])
        for name, data in written.items()
        if name in expected
    )
    align_folder(faces / 'in', faces / 'in.npz', faces / 'better', quality=95)
    assert len(contents(faces / 'better')['b/face 01.jpg']) > 1.3 * len(written['b/face 01.jpg'])
    record = json.loads(written['alignment.json'])
    assert (record['template']['name'], record['size'], record['quality']) == ('rafdb', 100, 30)


def test_faces_without_landmarks_are_left_out_and_listed(faces):
    known = read_landmarks(str(faces / 'in.npz'))
    points, score = known.points.copy(), known.score.copy()
    score[0], points[1, 3, 1], points[2] = 0, np.nan, 50
    (faces / 'in' / known.names[3]).write_bytes(b'')
    write_landmarks(str(faces / 'in.npz'), known.names.tolist(), points, score)
    done = align_folder(faces / 'in', faces / 'in.npz', faces / 'out')
    assert (done.images, done.failed) == (12, 4)
    with done.failures.open() as stream:
        assert sorted(csv.reader(stream)) == sorted(
            [
                ['name', 'reason'],
                [known.names[0], 'no landmarks'],
                [known.names[1], 'no landmarks'],
                [known.names[2], 'all landmarks lie on one pixel'],
                [known.names[3], 'empty (0 bytes)'],
            ]
        )
    assert len(read_landmarks(str(done.landmarks)).names) == 8
    assert len(contents(faces / 'out')) == 8 + 3


def test_what_is_there_is_not_made_again(faces):
    align_folder(faces / 'in', faces / 'in.npz', faces / 'out')
    before = contents(faces / 'out')
    for gone in ('b/face 01.jpg', 'landmarks68.npz', 'failures.csv'):
        (faces / 'out' / gone).unlink()
    (faces / 'out' / 'b' / 'face 01.jpg.part').write_bytes(b'cut off')
    stamps = {name: (faces / 'out' / name).stat().st_mtime_ns for name in before if (faces / 'out' / name).exists()}
    align_folder(faces / 'in', faces / 'in.npz', faces / 'out')
    assert contents(faces / 'out') == before
    assert all((faces / 'out' / name).stat().st_mtime_ns == stamp for name, stamp in stamps.items())


@pytest.mark.parametrize(
    ('arguments', 'sentence'),
    [
        (['in', 'in.npz', 'out', '--size', '50'], 'out was begun with other size (see alignment.json there): '),
        (['in', 'other.npz', 'out'], 'out was begun with other landmarks (see'),
        (['in', 'in.npz', 'in/out'], 'in/out lies in in, whose images are read'),
        (['in', 'in.npz', 'in'], 'in lies in in'),
        (['in', 'in.npz', 'used'], 'used has files that this tool did not write'),
        (['in', 'short.npz', 'new'], 'landmark file short.npz (11 rows) lacks 1 of 12 images: a/face 00.png'),
        (['in', 'gone.npz', 'new'], 'landmark file'),
        (['gone', 'in.npz', 'new'], 'there is no folder gone'),
        (['twins', 'twins.npz', 'new', '--png'], 'x.jpg and x.png would both become x.png: rename one of them'),
        (
            ['in', 'in.npz', 'new', '--quality', '0'],
            '--size must be positive and --quality from 1 to 100, got 100 and 0',
        ),
    ],
)
def test_mistakes_end_as_one_sentence(faces, monkeypatch, capsys, arguments, sentence):
    monkeypatch.chdir(faces)
    known = read_landmarks('in.npz')
    align_folder('in', 'in.npz', 'out')
    write_landmarks('other.npz', known.names.tolist(), known.points + 1)
    write_landmarks('short.npz', known.names[1:].tolist(), known.points[1:])
    for folder, files in (('used', ['my.jpg']), ('twins', ['x.jpg', 'x.png'])):
        (faces / folder).mkdir()
        for file in files:
            cv2.imwrite(f'{folder}/{file}', np.zeros((9, 9, 3), np.uint8))
    write_landmarks('twins.npz', ['x.jpg', 'x.png'], known.points[:2])
    before = contents(faces)
    with pytest.raises(SystemExit) as ended:
        load_tool('dataset_tools/align').main([*arguments, '--jobs', '1'])
    assert ended.value.code == 1
    assert capsys.readouterr().err.splitlines()[-1].startswith(f'mmfer: error: {sentence}')
    assert contents(faces) == before


def test_the_command_says_what_it_wrote(faces, monkeypatch, capsys):
    monkeypatch.chdir(faces)
    load_tool('dataset_tools/align').main(['in', 'in.npz', 'out', '--template', 'arcface112', '--jobs', '1'])
    said = capsys.readouterr()
    assert said.out.splitlines() == [
        '12 images, 0 left out: out/failures.csv',
        'landmarks of the aligned faces: out/landmarks68.npz',
        'aligned faces: out',
    ]
    assert said.err == ''  # short work in a pipe needs no bar


def test_landmarks_that_are_turned_are_refused(faces):
    points = read_landmarks(str(faces / 'in.npz'))
    write_landmarks(str(faces / 'in.npz'), points.names, points.points[..., ::-1], points.score)
    with pytest.raises(ValueError, match=r'in\.npz: the landmarks of 12 of 12 faces have x and y exchanged'):
        align_folder(faces / 'in', faces / 'in.npz', faces / 'out')
    assert not (faces / 'out').exists()


def test_nothing_is_written_through_a_link_that_leads_out(faces):
    align_folder(faces / 'in', faces / 'in.npz', faces / 'out')
    for path in (faces / 'out/a').iterdir():
        path.unlink()
    (faces / 'out/a').rmdir()
    (faces / 'elsewhere').mkdir()
    (faces / 'out/a').symlink_to(faces / 'elsewhere')
    done = align_folder(faces / 'in', faces / 'in.npz', faces / 'out')
    assert done.failed == 6
    assert 'is a link that leads out of' in done.failures.read_text()
    assert not list((faces / 'elsewhere').iterdir())


@pytest.mark.parametrize('png', [True, False])
def test_what_was_aligned_is_trained_on_in_the_place_of_what_it_was_made_of(tmp_path, png, tools, monkeypatch):
    said = []
    monkeypatch.setattr('mmfer.datasets.images.image_files.print_log', lambda text, **kwargs: said.append(text))
    data = Path(make_rafdb(tmp_path / 'data', per_class=4, size=48, test_per_class=2))
    folder, photos = data / 'basic/Image/aligned', tmp_path / 'photos'
    before = RAFDB(str(data), landmarks='landmarks68.npz')
    folder.rename(photos)
    for path in photos.iterdir():  # as RAF-DB's originals are called
        path.rename(path.with_name(path.name.replace('_aligned', '')))
    done = align_folder(photos, data / 'landmarks68.npz', folder, size=32, png=png)
    done.landmarks.replace(data / 'landmarks68.npz')
    after = RAFDB(str(data), landmarks='landmarks68.npz')
    assert after.fingerprint() == before.fingerprint(), 'names and labels are those of the label file'
    first = Path(after.get_data_info(0)['img_path'])
    assert first == folder / f'train_00001.{"png" if png else "jpg"}'
    assert said[-1] == (
        'RAFDB train: 28 of 28 images are there under a name that is spelt otherwise, which is taken: '
        + ', '.join(f'train_0000{i}.{"png" if png else "jpg"} for train_0000{i}_aligned.jpg' for i in (1, 2, 3))
        + ', ...'
    )
    moved = read_landmarks(str(data / 'landmarks68.npz'))
    np.testing.assert_array_equal(after.columns['landmarks'][0], moved.points[moved.names.tolist().index(first.name)])
    if png:
        tools.train([CONFIG, '--work-dir', str(tmp_path / 'run'), *small(data, train_cfg__max_epochs=1)])
        assert (tmp_path / 'run/metrics.json').exists()
