"""tools/dataset_tools/landmarks.py: every image once, in order, whatever is wrong with some of them."""

import csv
from pathlib import Path

import cv2
import numpy as np
import pytest
from detectors.drawn import drawn_faces
from miniature import face_points
from tools.blobs import RED_BLOB, blob_image, contents, plugin, write_blobs  # noqa: F401  a fixture
from tools.conftest import load_tool

from mmfer.apis.data import landmark_extraction, worst_landmarks
from mmfer.apis.data.landmark_extraction import extract_landmarks
from mmfer.datasets.landmarks.landmark_file import landmarks_of, read_landmarks, write_landmarks
from mmfer.detectors import choice
from mmfer.detectors.dlib_package import has_dlib


@pytest.fixture
def detector(plugin):  # noqa: F811
    """The plugin's class, imported by its name in a config."""
    from mmfer.registry import LANDMARK_DETECTORS

    return LANDMARK_DETECTORS.get('blobs_pkg.RedBlob')


def offsets():
    return np.arange(136).reshape(68, 2) / 100


def test_every_image_of_a_folder_in_the_order_of_names(detector, tmp_path, monkeypatch):
    monkeypatch.setattr(landmark_extraction, 'CHUNK', 8)
    folder, out = tmp_path / 'images', tmp_path / 'landmarks68.npz'
    places = write_blobs(folder, 21)
    (folder / 'b' / 'notes.txt').write_text('no image')
    seen, detect = [], detector.detect
    monkeypatch.setattr(detector, 'detect', lambda self, images: seen.append(len(images)) or detect(self, images))
    done = extract_landmarks(folder, out, RED_BLOB, batch_size=5)
    faces = read_landmarks(str(out))
    assert faces.names.tolist() == sorted(places)
    expected = np.array([places[name] for name in sorted(places)])[:, None] + offsets()
    np.testing.assert_allclose(faces.points, expected, atol=1e-5)
    assert (faces.score > 0.6).all()
    assert seen == [5, 3, 5, 3, 5], 'batches end with the chunk of 8 images that is kept'
    assert (done.images, done.failed) == (21, 0)
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        'images',
        'landmarks68.npz',
        'landmarks68_failures.csv',
        'landmarks68_worst.png',
        'plugin',
    ]
    found, _ = landmarks_of(str(out), np.array(['b/00001.jpg']))  # as a data set asks
    np.testing.assert_allclose(found[0, 0], places['b/00001.png'], atol=0.02)


def test_images_that_are_none_and_faces_that_are_not_found_are_listed(detector, tmp_path):
    folder, out = tmp_path / 'images', tmp_path / 'x.npz'
    write_blobs(folder, 2)
    whole = cv2.imencode('.png', blob_image(5, 6))[1].tobytes()
    for name, data in (('zero.jpg', b''), ('text.jpg', b'<html>'), ('half.png', whole[:-20])):
        (folder / name).write_bytes(data)
    (folder / 'link.png').symlink_to(folder / 'gone.png')
    cv2.imwrite(str(folder / 'grey.jpg'), np.full((9, 9), 90, np.uint8))
    cv2.imwrite(str(folder / 'alpha.png'), np.dstack([blob_image(5, 6), np.full((24, 32), 255, np.uint8)]))
    (folder / 'ümlaut, und komma.png').write_bytes(whole)
    done = extract_landmarks(folder, out, RED_BLOB)
    with done.failures.open(encoding='utf-8') as stream:
        rows = list(csv.reader(stream))
    assert rows == [
        ['name', 'reason'],
        ['grey.jpg', 'no face found'],
        ['half.png', 'cut off or damaged'],
        ['link.png', 'missing'],
        ['text.jpg', "no picture (it begins with b'<html>')"],
        ['zero.jpg', 'empty (0 bytes)'],
    ]
    faces = read_landmarks(str(out))
    assert len(faces.names) == done.images == 9
    failed = np.isin(faces.names, [name for name, _ in rows])
    assert done.failed == 5
    assert not faces.score[failed].any()
    assert not faces.points[failed].any()
    for name in ('alpha.png', 'ümlaut, und komma.png'):
        np.testing.assert_allclose(faces.points[faces.names == name][0, 0], (5, 6), atol=0.02)


def test_what_was_done_before_is_not_done_again(detector, tmp_path, monkeypatch):
    monkeypatch.setattr(landmark_extraction, 'CHUNK', 4)
    folder = tmp_path / 'images'
    write_blobs(folder, 20)
    extract_landmarks(folder, tmp_path / 'whole.npz', RED_BLOB, batch_size=4)
    seen, detect = [], detector.detect

    def tire(self, images):
        if len(seen) == 3:
            raise RuntimeError('tired')
        seen.append(len(images))
        return detect(self, images)

    monkeypatch.setattr(detector, 'detect', tire)
    out = tmp_path / 'parts.npz'
    with pytest.raises(RuntimeError, match='tired'):
        extract_landmarks(folder, out, RED_BLOB, batch_size=4)
    assert not out.exists()
    progress = tmp_path / 'parts.npz.progress'
    (progress / '0000001.npz').write_bytes(b'PK, and then the power went')  # is done again
    monkeypatch.setattr(detector, 'detect', lambda self, images: seen.append(len(images)) or detect(self, images))
    seen.clear()
    extract_landmarks(folder, out, RED_BLOB, batch_size=2)
    assert seen == [2] * 6, 'two chunks that were not begun, and the damaged one'
    for name in ('.npz', '_failures.csv', '_worst.png'):
        assert (tmp_path / f'parts{name}').read_bytes() == (tmp_path / f'whole{name}').read_bytes()
    assert not progress.exists()
    seen.clear()
    assert extract_landmarks(folder, out, RED_BLOB, batch_size=4).images == 20, 'all is done: nothing to do'
    assert seen == []


def test_a_picture_that_cannot_be_drawn_costs_no_landmarks(detector, tmp_path, monkeypatch):
    folder, out, sheet = tmp_path / 'images', tmp_path / 'x.npz', tmp_path / 'x_worst.png'
    write_blobs(folder, 3)
    cv2.imwrite(str(folder / 'grey.png'), np.full((9, 9), 90, np.uint8))
    draw = worst_landmarks.draw_landmark_sheet
    monkeypatch.setattr(worst_landmarks, 'draw_landmark_sheet', lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        extract_landmarks(folder, out, RED_BLOB)
    assert len(read_landmarks(str(out)).names) == 4
    captions = []
    monkeypatch.setattr(
        worst_landmarks, 'draw_landmark_sheet', lambda *args: (captions.append(args[3]), draw(*args))[1]
    )
    done = extract_landmarks(folder, out, RED_BLOB)
    assert (done.sheet, done.found_now) == (sheet, False)
    assert captions[0][0] == 'grey.png', 'images without a face come first, as the list of failures says'


def test_progress_of_something_else_is_refused(detector, tmp_path, monkeypatch):
    folder, out = tmp_path / 'images', tmp_path / 'x.npz'
    write_blobs(folder, 6)
    monkeypatch.setattr(landmark_extraction, 'CHUNK', 2)
    detect, left = detector.detect, [1]
    with monkeypatch.context() as patch:
        patch.setattr(detector, 'detect', lambda self, images: left.pop() and detect(self, images))
        with pytest.raises(IndexError):
            extract_landmarks(folder, out, RED_BLOB, batch_size=2)
    cure = r'give the same again to go on, delete that folder to begin anew, or write to another place'
    with pytest.raises(ValueError, match=rf'x\.npz\.progress was begun with other detector \(.*\): {cure}'):
        extract_landmarks(folder, out, RED_BLOB | dict(seconds=0.001), batch_size=2)
    cv2.imwrite(str(folder / 'a' / '00000.png'), blob_image(3, 3, shape=(50, 60)))
    with pytest.raises(ValueError, match=r'was begun with other images'):
        extract_landmarks(folder, out, RED_BLOB, batch_size=2)
    write_blobs(folder, 6)
    extract_landmarks(folder, out, RED_BLOB, batch_size=2)
    cv2.imwrite(str(folder / 'a' / 'new.png'), blob_image(3, 3))
    with pytest.raises(ValueError, match=r'x\.npz is there already and has the landmarks of other images'):
        extract_landmarks(folder, out, RED_BLOB, batch_size=2)


def test_its_own_picture_is_no_image_of_the_folder(detector, tmp_path):
    folder = tmp_path / 'images'
    write_blobs(folder, 3)
    for _ in range(2):
        done = extract_landmarks(folder, folder / 'landmarks68.npz', RED_BLOB)
        assert (done.images, done.sheet.name) == (3, 'landmarks68_worst.png')


def test_the_sheet_shows_the_worst_with_their_points(detector, tmp_path, monkeypatch):
    folder = tmp_path / 'images'
    write_blobs(folder, 50)  # scores rise with i % 50
    cv2.imwrite(str(folder / 'grey.png'), np.full((9, 9), 90, np.uint8))
    drawn = []
    monkeypatch.setattr(worst_landmarks, 'draw_landmark_sheet', lambda *args: drawn.append(args))
    extract_landmarks(folder, tmp_path / 'x.npz', RED_BLOB)
    ((images, points, score, names, _, title),) = drawn
    assert names == ['grey.png', *(f'{"ab"[i % 2]}/{i:05}.png' for i in range(31))]
    assert (score[0], len(images)) == (0, 32)
    assert score[1:] == sorted(score[1:])
    x, y = points[1][0].astype(int)
    assert images[1][y, x].tolist() == [200, 20, 20], 'RGB'
    assert 'no face in 1 of 51 images' in title


def test_a_detector_that_answers_in_another_shape(detector, tmp_path, monkeypatch):
    write_blobs(tmp_path / 'images', 3)
    monkeypatch.setattr(detector, 'detect', lambda self, images: (np.zeros((68, 2)), np.ones(len(images))))
    with pytest.raises(ValueError, match=r'blobs_pkg\.RedBlob gives points \[68, 2\] and score \[3\] for 3 images'):
        extract_landmarks(tmp_path / 'images', tmp_path / 'x.npz', RED_BLOB)


@pytest.mark.parametrize(
    ('arguments', 'sentence'),
    [
        (['gone', 'x.npz'], 'there is no folder gone'),
        (['plugin', 'x.npz'], 'plugin has no image (looked for .jpg, .jpeg, .jpe, .jfif, .png'),
        (['images', 'x.csv'], 'landmarks are written as .npz, got x.csv'),
        (['images', 'x.npz', '--batch-size', '65'], '--batch-size must be from 1 to 64, got 65'),
        (['images', 'x.npz', '--jobs', '0', '--detector', 'blobs_pkg.RedBlob'], '--jobs must be at least 1, got 0'),
        (
            ['images', 'x.npz', '--detector', 'blobs_pkg.RedBlob', '--aligned'],
            "RedBlob has no parameter 'face_detector' (it takes seconds)",
        ),
        (
            ['images', 'x.npz', '--detector', 'mmfer.FaceAlignmentDetectr'],
            "type='mmfer.FaceAlignmentDetectr' is no known landmark detector; did you mean FaceAlignmentDetector?",
        ),
        (
            ['images', 'x.npz', '--detector', 'blobs_pkg.RedBlub'],
            "type='blobs_pkg.RedBlub' is no known landmark detector; did you mean blobs_pkg.RedBlob?",
        ),
        (['--import', 'gone', 'x.npz'], 'landmark file'),
        (['--import', 'good.npz', 'x.txt'], 'landmarks are written as .npz, got x.txt'),
    ],
)
def test_mistakes_end_as_one_sentence(plugin, tmp_path, monkeypatch, capsys, arguments, sentence):  # noqa: F811
    monkeypatch.chdir(tmp_path)
    write_blobs(tmp_path / 'images', 2)
    write_landmarks('good.npz', ['a.jpg'], np.zeros((1, 68, 2)))
    with pytest.raises(SystemExit) as ended:
        load_tool('dataset_tools/landmarks').main(arguments)
    assert ended.value.code == 1
    line = capsys.readouterr().err.splitlines()[-1]
    assert line.startswith(f'mmfer: error: {sentence}')
    assert not Path('x.npz').exists()
    # What was mistyped is no progress that would be in the way of the right command.
    load_tool('dataset_tools/landmarks').main(['images', 'x.npz', '--detector', 'blobs_pkg.RedBlob'])
    assert read_landmarks('x.npz').score.all()


def test_the_command_says_what_it_wrote(plugin, tmp_path, monkeypatch, capsys):  # noqa: F811
    monkeypatch.chdir(tmp_path)
    write_blobs(tmp_path / 'images', 2)
    cv2.imwrite('images/grey.png', np.full((9, 9), 90, np.uint8))
    load_tool('dataset_tools/landmarks').main(
        ['images', 'x.npz', '--detector', 'blobs_pkg.RedBlob', '--detector-options', 'seconds=0.001']
    )
    said = capsys.readouterr()
    assert said.out.splitlines()[:3] == [
        '3 images, 1 without landmarks: x_failures.csv',
        'the worst: x_worst.png',
        'landmarks: x.npz',
    ]
    load_tool('dataset_tools/landmarks').main(['images', 'x.npz'])
    assert 'landmarks: x.npz (was there already; delete it to detect again)' in capsys.readouterr().out
    assert said.err == ''  # short work in a pipe needs no bar


def test_options_reach_the_detector(monkeypatch):
    monkeypatch.setattr(choice, 'has_weights', lambda: True)
    tool = load_tool('dataset_tools/landmarks')

    def config(*options):
        return tool.detector_config(tool.parse_args(['in', 'out.npz', *options]))

    ours = 'mmfer.FaceAlignmentDetector'
    assert config() == dict(type=ours)
    assert config('--aligned', '--device', 'cpu') == dict(type=ours, face_detector=None, device='cpu')
    assert config('--face-detector', 'blazeface') == dict(type=ours, face_detector='blazeface')
    assert config('--detector', 'acme.X', '--detector-options', 'a=2') == dict(type='acme.X', a=2)


@pytest.mark.skipif(not has_dlib(), reason='dlib and its models are not installed')
def test_dlib_finds_them_where_the_weights_are_absent(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(choice, 'has_weights', lambda: False)
    faces, truth = drawn_faces()
    for row, face in enumerate(faces):
        cv2.imwrite(str(tmp_path / f'{row:02}.png'), face[..., ::-1])
    load_tool('dataset_tools/landmarks').main([str(tmp_path), str(tmp_path / 'x.npz'), '--aligned'])
    assert capsys.readouterr().out.startswith(
        "landmarks by dlib, as the face-alignment package's weights are not here\n12 images, 0 without landmarks"
    )
    found = read_landmarks(str(tmp_path / 'x.npz'))
    assert (found.score == 1).all()
    assert np.median(np.linalg.norm(found.points - truth, axis=2)) < 0.035 * 128


def test_import_converts(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    points = (np.random.default_rng(0).random((3, 68, 2)) * 100).round(2).astype(np.float32)
    (tmp_path / 'annotations').mkdir()
    for i, face in enumerate(points):
        np.save(tmp_path / 'annotations' / f'{i}_lnd.npy', face.ravel().astype(str)[:, None])
        np.save(tmp_path / 'annotations' / f'{i}_exp.npy', np.array('3'))
    load_tool('dataset_tools/landmarks').main(['--import', 'annotations', 'new/ours.npz'])
    faces = read_landmarks('new/ours.npz')
    assert faces.names.tolist() == ['0', '1', '2']
    np.testing.assert_allclose(faces.points, points)
    assert '3 faces: new/ours.npz' in capsys.readouterr().out
    write_landmarks('again.npz', *faces)
    assert contents(tmp_path)['new/ours.npz'] == contents(tmp_path)['again.npz']


@pytest.fixture
def pairs(tmp_path, monkeypatch):
    """A folder of 'x y', which is read as row, then column."""
    monkeypatch.chdir(tmp_path)
    points = np.stack([100 * face_points(mouth_open=n / 8) for n in range(8)])
    (tmp_path / 'pairs').mkdir()
    for n, face in enumerate(points):
        (tmp_path / f'pairs/{n}.txt').write_text('\n'.join(f'{x:.3f} {y:.3f}' for x, y in face))
    return points


def test_import_refuses_what_is_no_upright_face_and_its_cure_works(pairs, capsys):
    tool = load_tool('dataset_tools/landmarks')
    with pytest.raises(SystemExit):
        tool.main(['--import', 'pairs', 'l.npz'])
    said = capsys.readouterr().err
    assert 'mmfer: error: pairs: the landmarks of 8 of 8 faces have x and y exchanged, such as 0, 1, 2, ...; ' in said
    assert said.endswith('add --swap-xy to the command\n')
    assert not Path('l.npz').exists()
    tool.main(['--import', 'pairs', 'l.npz', '--swap-xy'])
    np.testing.assert_allclose(read_landmarks('l.npz').points, pairs, atol=2e-3)
    with pytest.raises(SystemExit):
        tool.main(['--import', 'l.npz', 'again.npz', '--swap-xy'])
    assert capsys.readouterr().err.endswith('leave out --swap-xy\n')
    with pytest.raises(SystemExit):
        tool.main(['pairs', 'l.npz', '--swap-xy'])
    assert '--swap-xy goes with --import' in capsys.readouterr().err


def test_a_detector_whose_answers_are_no_faces_is_warned_of(plugin, tmp_path, monkeypatch, capsys):  # noqa: F811
    monkeypatch.chdir(tmp_path)
    write_blobs(tmp_path / 'images', 6)
    load_tool('dataset_tools/landmarks').main(['images', 'l.npz', '--detector', 'blobs_pkg.RedBlob'])
    assert (
        'warning: l.npz: the landmarks of 6 of 6 faces are no face in the order of iBUG 300-W'
        in capsys.readouterr().err
    )


@pytest.mark.parametrize('damage', ['settings.json', '0000000.npz'])
def test_damaged_progress_is_made_again(detector, tmp_path, monkeypatch, damage):
    monkeypatch.setattr(landmark_extraction, 'CHUNK', 4)
    folder, out, left = tmp_path / 'images', tmp_path / 'x.npz', [1, 1]
    write_blobs(folder, 12)
    extract_landmarks(folder, tmp_path / 'whole.npz', RED_BLOB, batch_size=4)
    detect = detector.detect
    with monkeypatch.context() as patch:
        patch.setattr(detector, 'detect', lambda self, images: left.pop() and detect(self, images))
        with pytest.raises(IndexError):
            extract_landmarks(folder, out, RED_BLOB, batch_size=4)
    kept = tmp_path / 'x.npz.progress' / damage
    data = bytearray(kept.read_bytes())
    data[len(data) // 2] ^= 1
    kept.write_bytes(data)
    extract_landmarks(folder, out, RED_BLOB, batch_size=4)
    assert out.read_bytes() == (tmp_path / 'whole.npz').read_bytes()
