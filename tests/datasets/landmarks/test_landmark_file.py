import os
import re

import numpy as np
import pytest

from mmfer.datasets.landmarks.landmark_file import landmarks_of, read_landmarks, read_lnd_npy, write_landmarks

NAMES = ['train_00001_aligned.jpg', 'train_00002_aligned.jpg', 'test_00001_aligned.jpg']


def faces(count=3, points=68, seed=0):
    return (np.random.default_rng(seed).random((count, points, 2)) * 100).round(2).astype(np.float32)


def write_text_folder(folder, points, stems=None, end='\n'):
    folder.mkdir(exist_ok=True)
    for stem, face in zip(stems or [name.replace('_aligned.jpg', '') for name in NAMES], points, strict=True):
        lines = [f'{y:.2f} {x:.2f}' for x, y in face]
        (folder / f'{stem}.txt').write_bytes(end.join([*lines, '']).encode())
    return str(folder)


def test_npz_round_trip(tmp_path):
    points, score = faces(), np.array([1, 0, 0.5], np.float32)
    path = str(tmp_path / 'landmarks68.npz')
    write_landmarks(path, NAMES, points, score)
    again = read_landmarks(path)
    assert again.names.tolist() == NAMES
    assert np.array_equal(again.points, points)
    assert np.array_equal(again.score, score)
    assert again.points.dtype == again.score.dtype == np.float32
    assert [file.name for file in tmp_path.iterdir()] == ['landmarks68.npz']
    with np.load(path, allow_pickle=False) as arrays:  # no pickle inside
        assert set(arrays.files) == {'names', 'points', 'score'}


def test_rows_are_found_by_name_in_any_order(tmp_path):
    path, points = str(tmp_path / 'l.npz'), faces(4)
    write_landmarks(path, ['x.jpg', *NAMES[::-1]], points, np.array([0.1, 0.2, 0.3, 0.4]))
    found, score = landmarks_of(path, np.array(NAMES[:2]))
    assert np.array_equal(found, points[[3, 2]])
    np.testing.assert_allclose(score, [0.4, 0.3])


@pytest.mark.parametrize('end', ['\n', '\r\n'])
def test_row_col_text_files_give_x_and_y(tmp_path, end):
    points = faces()
    folder = write_text_folder(tmp_path / 'landmarks', points, end=end)
    found, score = landmarks_of(folder, np.array(NAMES))
    np.testing.assert_allclose(found, points, atol=1e-5)
    assert score.tolist() == [1, 1, 1]


def test_text_files_in_subfolders_and_with_tabs_commas_and_marks(tmp_path):
    (tmp_path / '12').mkdir()
    face = faces(1)[0]
    text = '\n'.join(f'{y:.2f},\t{x:.2f}' for x, y in face)
    (tmp_path / '12' / 'a.b.txt').write_bytes(('\ufeff' + text).encode())
    found, _ = landmarks_of(str(tmp_path), np.array(['12/a.b.png']))
    np.testing.assert_allclose(found[0], face, atol=1e-5)


def test_pts_files_count_from_one(tmp_path):
    points = faces(1)
    lines = '\n'.join(f'{x + 1:.2f} {y + 1:.2f}' for x, y in points[0])
    (tmp_path / 'face.pts').write_text(f'version: 1\nn_points: 68\n{{\n{lines}\n}}\n')
    found, _ = landmarks_of(str(tmp_path), np.array(['face.png']))
    np.testing.assert_allclose(found, points, atol=1e-4)


@pytest.mark.parametrize('shape', [(68, 2), (136,), (136, 1)])
@pytest.mark.parametrize('dtype', [np.float64, np.float32, 'U'])
def test_affectnets_landmark_files(tmp_path, shape, dtype):
    face = faces(1)[0]
    np.save(tmp_path / '7_lnd.npy', face.astype(dtype).reshape(shape))
    found = read_lnd_npy(str(tmp_path / '7_lnd.npy'))
    assert (found.dtype, found.shape) == (np.float32, (68, 2))
    np.testing.assert_allclose(found, face)


def test_a_folder_of_affectnets_annotations(tmp_path):
    points = faces()
    for name, face in zip((2, 10, 3), points, strict=True):
        np.save(tmp_path / f'{name}_lnd.npy', face.ravel())
        np.save(tmp_path / f'{name}_exp.npy', np.array('6'))
    found, _ = landmarks_of(str(tmp_path), np.array(['2.jpg', '10.jpg', '3.png']))
    np.testing.assert_allclose(found, points)


def test_affectnet_files_that_are_none(tmp_path):
    path = tmp_path / '7_lnd.npy'
    for content in (np.array(['x'] * 136), np.array([{}], dtype=object), np.zeros(3)):
        np.save(path, content)
        with pytest.raises(ValueError, match=r"7_lnd\.npy is not one of AffectNet's landmark files: .*expected 136"):
            read_lnd_npy(str(path))
    path.write_bytes(b'')
    with pytest.raises(ValueError, match=r'it is no \.npy'):
        read_lnd_npy(str(path))
    np.save(path, np.zeros(10))
    with pytest.raises(ValueError, match=r'7_lnd\.npy has 5 points instead of 68 points in the order of iBUG'):
        read_lnd_npy(str(path))


@pytest.mark.parametrize('style', ['x{}|y{}|score|name', 'x_{}|y_{}|confidence|filename', ' x_{}| y_{}||file'])
def test_csv(tmp_path, style):
    points, score = faces(), [1, 0.25, 0]
    x, y, score_key, name_key = style.split('|')
    header = [
        name_key,
        *([score_key] if score_key else []),
        *(x.format(i) for i in range(68)),
        *(y.format(i) for i in range(68)),
    ]
    lines = [','.join(header)]
    for name, face, s in zip(NAMES, points, score, strict=True):
        lines.append(','.join([name, *([str(s)] if score_key else []), *map(str, face[:, 0]), *map(str, face[:, 1])]))
    path = tmp_path / 'landmarks.csv'
    path.write_bytes(('\ufeff' + '\r\n'.join(lines)).encode())
    again = read_landmarks(str(path))
    assert again.names.tolist() == NAMES
    np.testing.assert_allclose(again.points, points)
    np.testing.assert_allclose(again.score, score if score_key else 1)


def test_csv_mistakes(tmp_path):
    path = tmp_path / 'landmarks.csv'
    path.write_text('name,x0,y0\na,1,2\n')
    with pytest.raises(ValueError, match=r'csv:1: the header must be name,score,x0,y0'):
        read_landmarks(str(path))
    header = 'name,' + ','.join(f'x{i},y{i}' for i in range(68))
    path.write_text(f'{header}\na,{",".join(["1"] * 136)}\nb,1,2\nc,{",".join(["1"] * 135)},oops\n')
    with pytest.raises(ValueError, match=r"has 2 bad lines; (.|\n)*csv:3: 'b,1,2' \(3 fields\)(.|\n)*csv:4"):
        read_landmarks(str(path))
    path.write_text(f'{header}\na,{",".join(["?"] * 136)}\nb,1,2\n')
    with pytest.raises(ValueError, match=r'has 2 bad lines, which is every line there is: it may be another file; exp'):
        read_landmarks(str(path))


def test_missing_rows_are_counted_and_named_with_the_cure(tmp_path):
    path = str(tmp_path / 'short.npz')
    write_landmarks(path, NAMES[:1], faces(1))
    names = np.array([*NAMES, 'train_00003_aligned.jpg', 'train_00004_aligned.jpg'])
    with pytest.raises(
        ValueError,
        match=(
            r'short\.npz \(1 rows\) lacks 4 of 5 images: train_00002_aligned\.jpg, test_00001_aligned\.jpg, '
            r'train_00003_aligned\.jpg, \.\.\.; add a row for each \(score 0 where no face was found\)'
        ),
    ):
        landmarks_of(path, names)


def test_a_loose_match_is_never_a_guess(tmp_path):
    path = str(tmp_path / 'two.npz')
    write_landmarks(path, ['a.jpg', 'a.png', 'b.png'], faces())
    found, _ = landmarks_of(path, np.array(['b.jpg']))
    assert np.array_equal(found[0], faces()[2])
    with pytest.raises(ValueError, match=r'lacks 1 of 1 images: a\.bmp'):
        landmarks_of(path, np.array(['a.bmp']))


def test_a_wrong_number_of_points(tmp_path):
    np.savez(tmp_path / 'five.npz', names=np.array(NAMES), points=faces(points=5), score=np.ones(3))
    with pytest.raises(ValueError, match=r'five\.npz has points \[3, 5, 2\] instead of \[N, 68, 2\]; detect .* iBUG'):
        read_landmarks(str(tmp_path / 'five.npz'))
    folder = write_text_folder(tmp_path / 'text', [*faces(2), faces(points=66)[0]])
    with pytest.raises(ValueError, match=r'1 of 3 landmark files .* have not 68 points .*: test_00001\.txt \(66\)'):
        read_landmarks(folder)


def test_an_npz_that_is_none_of_ours(tmp_path):
    np.savez(tmp_path / 'a.npz', points=faces())
    with pytest.raises(ValueError, match=r'it has points but no names and no score'):
        read_landmarks(str(tmp_path / 'a.npz'))
    np.savez(tmp_path / 'b.npz', names=np.array(NAMES, dtype=object), points=faces(), score=np.ones(3))
    with pytest.raises(ValueError, match=r'b\.npz is not a landmark file.*without pickled objects'):
        read_landmarks(str(tmp_path / 'b.npz'))
    write_landmarks(str(tmp_path / 'c.npz'), NAMES, faces())
    whole = (tmp_path / 'c.npz').read_bytes()
    for content in (b'', b'PK nonsense', whole[:1000], whole[:600] + bytes(200) + whole[800:]):
        (tmp_path / 'c.npz').write_bytes(content)
        with pytest.raises(ValueError, match=r'c\.npz is not a landmark file'):
            read_landmarks(str(tmp_path / 'c.npz'))


def test_scores_and_names_are_one_of_each_face(tmp_path):
    path = str(tmp_path / 'a.npz')
    np.savez(path, names=np.array(NAMES), points=faces(), score=np.ones((3, 1)))
    with pytest.raises(ValueError, match=r'a\.npz has score \[3, 1\] instead of \[3\], one of each face: write score'):
        read_landmarks(path)
    np.savez(path, names=np.array(NAMES), points=faces(), score=np.ones((3, 68)))
    with pytest.raises(ValueError, match=r'a\.npz has score \[3, 68\] instead of \[3\].*: write score\.mean\(axis=1\)'):
        read_landmarks(path)
    np.savez(path, names=np.array(NAMES, dtype=np.bytes_), points=faces(), score=np.ones(3))
    with pytest.raises(ValueError, match=r'a\.npz is not .*names are bytes, not text: write names\.astype'):
        read_landmarks(path)
    np.savez(path, names=np.array(NAMES, dtype=np.bytes_).astype(str), points=faces(), score=np.ones(3))  # as typed
    assert read_landmarks(path).names.tolist() == NAMES
    np.savez(path, names=np.array([NAMES]), points=faces(), score=np.ones(3))
    with pytest.raises(ValueError, match=r'has names \[1, 3\] instead of \[3\]'):
        read_landmarks(path)
    np.savez(path, names=np.array([NAMES]).reshape(-1), points=faces(), score=np.ones((3, 1)).reshape(-1))  # as typed
    assert len(read_landmarks(path).score) == 3


def test_columns_that_do_not_belong_together(tmp_path):
    with pytest.raises(ValueError, match='2 names, 3 faces and 3 scores'):
        write_landmarks(str(tmp_path / 'x.npz'), NAMES[:2], faces())
    with pytest.raises(ValueError, match=r'lists 1 images more than once: a\.jpg'):
        write_landmarks(str(tmp_path / 'x.npz'), ['a.jpg', 'b.jpg', 'a.jpg'], faces())
    assert not list(tmp_path.iterdir())


def test_files_that_cannot_be(tmp_path):
    with pytest.raises(FileNotFoundError, match=r'gone\.npz is missing; .*landmarks=\.\.\.'):
        read_landmarks(str(tmp_path / 'gone.npz'))
    (tmp_path / 'points.mat').touch()
    with pytest.raises(ValueError, match=r'points\.mat is no known kind'):
        read_landmarks(str(tmp_path / 'points.mat'))
    (tmp_path / 'empty').mkdir()
    with pytest.raises(ValueError, match=r'has no \.pts, no _lnd\.npy and no \.txt file'):
        read_landmarks(str(tmp_path / 'empty'))
    (tmp_path / 'bad').mkdir()
    (tmp_path / 'bad' / 'f.txt').write_text('1 2\n3\n')
    with pytest.raises(ValueError, match=r"f\.txt:2: '3'"):
        read_landmarks(str(tmp_path / 'bad'))
    (tmp_path / 'pts').mkdir()
    (tmp_path / 'pts' / 'f.pts').write_text('1 2\n3 4\n')
    with pytest.raises(ValueError, match=r'f\.pts is not a \.pts file'):
        read_landmarks(str(tmp_path / 'pts'))


# --- files of others that used to be read wrongly ---


def csv_of(path, columns, rows, delimiter=',', decimal='.'):
    """A csv of columns (name to a function of the face) and rows of (name, face)."""
    lines = [delimiter.join(columns)]
    for row in rows:
        cells = [value(row) if callable(value) else value for value in columns.values()]
        lines.append(
            delimiter.join(str(cell).replace('.', decimal) if isinstance(cell, float) else str(cell) for cell in cells)
        )
    path.write_text('\n'.join(lines) + '\n')
    return str(path)


def coordinate(point, axis, scale=1.0, shift=0.0):
    return lambda row: float(row[1][point, axis]) * scale + shift


def name_of(row):
    return row[0]


def test_of_openfaces_columns_the_pixels_are_taken(tmp_path):
    points = faces()
    columns = {'filename': name_of, ' face_id': 0, ' confidence': 0.9, ' success': lambda row: int(row[0] != NAMES[1])}
    columns |= {' eye_lmk_x_0': 3.0, ' gaze_0_x': 0.1}
    columns |= {f' {axis}_{i}': coordinate(i, 'xy'.index(axis)) for axis in 'xy' for i in range(68)}
    columns |= {f' {axis}_{i}': coordinate(i, 'XYZ'.index(axis) % 2, 1.7, -30) for axis in 'XYZ' for i in range(68)}
    columns |= {' p_0': 1.0, ' AU01_r': 0.2}
    again = read_landmarks(csv_of(tmp_path / 'openface.csv', columns, list(zip(NAMES, points, strict=True))))
    np.testing.assert_allclose(again.points, points, rtol=1e-6)
    np.testing.assert_allclose(again.score, [0.9, 0, 0.9])  # success 0: it was not found


def test_openfaces_points_in_space_are_refused(tmp_path):
    columns = {'name': name_of} | {f'{axis}_{i}': coordinate(i, 0) for axis in 'XYZ' for i in range(68)}
    path = csv_of(tmp_path / 'space.csv', columns, [('a.png', faces()[0])])
    with pytest.raises(ValueError, match=r'space\.csv:1: X, Y and Z are points in space.*not pixels.*\(-2Dfp\)$'):
        read_landmarks(path)
    flat = {key: value for key, value in columns.items() if 'Z' not in key}
    assert read_landmarks(csv_of(tmp_path / 'upper.csv', flat, [('a.png', faces()[0])])).points.shape == (1, 68, 2)


def test_two_faces_of_one_image_are_refused(tmp_path):
    columns = {'name': name_of, 'face_id': 1} | {f'{axis}{i}': coordinate(i, 0) for axis in 'xy' for i in range(68)}
    path = csv_of(tmp_path / 'two.csv', columns, [('a.png', faces()[0]), ('a.png', faces()[1])])
    with pytest.raises(ValueError, match=r'two\.csv lists 1 images more than once: a\.png; keep one row'):
        read_landmarks(path)


@pytest.mark.parametrize(
    ('count', 'whose'),
    [
        *((478, 'MediaPipe'), (468, 'MediaPipe'), (194, 'HELEN'), (106, 'JD-landmark'), (98, 'WFLW'), (29, 'COFW')),
        *((51, 'iBUG without the jaw'), (21, 'AFLW'), (70, None), (67, None), (5, None)),
    ],
)
def test_other_numbers_of_points_are_refused_whatever_the_file(tmp_path, count, whose):
    points = faces(8, points=count)
    rows = [(f'{i}.png', face) for i, face in enumerate(points)]
    columns = {'name': name_of} | {f'{axis}{i}': coordinate(i, 'xy'.index(axis)) for i in range(count) for axis in 'xy'}
    those = f' (as {whose} has)' if whose else ''
    sentence = (
        f'there are {count} points{those} instead of 68 points in the order of iBUG 300-W; find the landmarks anew: '
        'python tools/dataset_tools/landmarks.py FOLDER OUT.npz'
    )
    with pytest.raises(ValueError, match=f'points.csv:1: {re.escape(sentence)}$'):
        read_landmarks(csv_of(tmp_path / 'points.csv', columns, rows))
    np.savez(tmp_path / 'points.npz', names=[name for name, _ in rows], points=points, score=np.ones(8))
    with pytest.raises(ValueError, match=re.escape(f'has points [8, {count}, 2]{those} instead of [N, 68, 2]; detect')):
        read_landmarks(str(tmp_path / 'points.npz'))
    for kind in ('pts', 'txt', 'npy'):
        (tmp_path / kind).mkdir()
        for i, face in enumerate(points):
            lines = '\n'.join(f'{x} {y}' for x, y in face.tolist())
            if kind == 'npy':
                np.save(tmp_path / kind / f'{i}_lnd.npy', face.ravel())
            else:
                text = lines if kind == 'txt' else f'version: 1\nn_points: {count}\n{{\n{lines}\n}}\n'
                (tmp_path / kind / f'{i}.{kind}').write_text(text)
        with pytest.raises(
            ValueError, match=rf'8 of 8 landmark files .* have not 68 points .*\({count}\).*detect these again'
        ):
            read_landmarks(str(tmp_path / kind))


def test_points_numbered_from_one_and_in_any_order_of_columns(tmp_path):
    points = faces(1)
    orders = {
        'pairs': [(axis, i) for i in range(68) for axis in 'xy'],
        'y first': [(axis, i) for i in range(68) for axis in 'yx'],
        'xs, then ys': [(axis, i) for axis in 'xy' for i in range(68)],
        'backwards': [(axis, i) for i in range(67, -1, -1) for axis in 'xy'],
    }
    for kind, order in orders.items():
        for first in (0, 1):
            columns = {'name': name_of}
            columns |= {f'{axis}{i + first}': coordinate(i, 'xy'.index(axis)) for axis, i in order}
            again = read_landmarks(csv_of(tmp_path / f'{kind}.csv', columns, [('a.png', points[0])]))
            np.testing.assert_allclose(again.points, points, rtol=1e-6, err_msg=f'{kind}, {first}')


@pytest.mark.parametrize(('delimiter', 'decimal'), [(';', '.'), (';', ','), ('\t', '.'), ('\t', ',')])
def test_semicolons_and_tabs(tmp_path, delimiter, decimal):
    points = faces()
    columns = {'name': name_of, 'score': 0.5}
    columns |= {f'{axis}{i}': coordinate(i, 'xy'.index(axis)) for i in range(68) for axis in 'xy'}
    rows = list(zip(NAMES, points, strict=True))
    again = read_landmarks(csv_of(tmp_path / 'l.csv', columns, rows, delimiter, decimal))
    np.testing.assert_allclose(again.points, points, rtol=1e-6)
    assert again.score.tolist() == [0.5] * 3


def test_columns_that_are_ambiguous_or_lack_one_are_refused(tmp_path):
    columns = {'name': name_of} | {f'{axis}{i}': coordinate(i, 0) for i in range(68) for axis in 'xy'}
    rows = [('a.png', faces()[0])]

    def refused(columns, sentence):
        with pytest.raises(ValueError, match=sentence):
            read_landmarks(csv_of(tmp_path / 'l.csv', columns, rows))

    refused(columns | {'x_3': 1.0}, r'l\.csv:1: 2 columns are x of point 3: x3 and x_3; keep one')
    refused(columns | {'Name': 'b.png'}, r'l\.csv:1: 2 columns are called name; keep one')
    refused(
        {key: value for key, value in columns.items() if key != 'y7'}, r'l\.csv:1: point 7 has an x and no y; add it'
    )
    refused({key: value for key, value in columns.items() if key != 'name'}, r'l\.csv:1: no column is called name: the')
    refused({key.replace('x', 'u'): value for key, value in columns.items()}, r'point 0 has a y and no x; add it')


@pytest.mark.parametrize('low', [0.0, -1.0])
def test_shares_of_the_image_are_no_pixels(tmp_path, low):
    points = faces(4) / 100 * (1 - low) + low
    points[0] = np.nan
    write_landmarks(str(tmp_path / 'l.npz'), ['a', 'b', 'c', 'd'], points)
    with pytest.raises(
        ValueError, match=r'l\.npz lie between -?[01]\.\d\d and [01]\.\d\d: they are shares of the image, not'
    ):
        read_landmarks(str(tmp_path / 'l.npz'))
    write_landmarks(str(tmp_path / 'l.npz'), ['a', 'b', 'c', 'd'], points, np.zeros(4))
    assert len(read_landmarks(str(tmp_path / 'l.npz')).names) == 4


@pytest.mark.parametrize('shape', [(2, 68), (68, 3), (136, 2, 1, 2)])
def test_arrays_of_another_shape_are_refused(tmp_path, shape):
    np.save(tmp_path / '7_lnd.npy', np.zeros(shape))
    with pytest.raises(
        ValueError, match=re.escape(f'its shape is {list(shape)} instead of [68, 2] (x, then y) or [136]')
    ):
        read_landmarks(str(tmp_path))


def test_a_pts_file_that_contradicts_itself_is_refused(tmp_path):
    lines = '\n'.join(f'{x} {y}' for x, y in faces(1)[0])
    (tmp_path / 'face.pts').write_text(f'version: 1\nn_points: 98\n{{\n{lines}\n}}\n')
    with pytest.raises(ValueError, match=r'face\.pts says n_points: 98 and has 68; get this file again'):
        read_landmarks(str(tmp_path))


@pytest.mark.parametrize('far', ['1e7', '-1e38', '1e400', 'inf', 'nan'])
def test_points_beyond_any_picture_are_no_landmarks(tmp_path, far):
    folder = write_text_folder(tmp_path / 'txt', faces())
    path = tmp_path / 'txt' / 'train_00002.txt'
    _, *others = path.read_text().splitlines()
    path.write_text('\n'.join([f'{far} 3', *others]))
    read = read_landmarks(folder)
    assert np.isfinite(read.points).all(axis=(1, 2)).tolist() == [True, True, False]  # in the order of names
    points = faces().astype(np.float64)
    points[1, 0, 0] = float(far)
    np.savez(tmp_path / 'l.npz', names=np.array(NAMES), points=points, score=np.ones(3))
    read = read_landmarks(str(tmp_path / 'l.npz'))
    assert np.isfinite(read.points).all(axis=(1, 2)).tolist() == [True, False, True]
    assert read.points.dtype == np.float32


def test_hidden_files_among_them_are_left_out(tmp_path, monkeypatch):
    lines = []
    monkeypatch.setattr('mmfer.datasets.images.listing.print_log', lambda text, **_: lines.append(text))
    folder = write_text_folder(tmp_path / 'txt', faces())
    (tmp_path / 'txt' / '._train_00001.txt').write_bytes(b'Mac OS X\0')
    assert len(read_landmarks(folder).names) == 3
    assert lines == [f'1 file of {folder} is passed over: 1 hidden']


def test_a_name_that_is_longer_than_any_path(tmp_path):
    header = 'name,' + ','.join(f'x{i},y{i}' for i in range(68))
    row = ',' + ','.join(['1', '2'] * 68)
    (tmp_path / 'l.csv').write_text(f'{header}\na{row}\n{"b" * 1001}{row}\n')
    with pytest.raises(ValueError, match=r'l\.csv:3: .*\(the name has more than 1,000 characters\)'):
        read_landmarks(str(tmp_path / 'l.csv'))


def test_only_files_are_read(tmp_path):
    (tmp_path / 'pts').mkdir()
    os.mkfifo(tmp_path / 'pts' / '1.pts')
    (tmp_path / 'zero.npz').symlink_to('/dev/zero')
    (tmp_path / 'zero.csv').symlink_to('/dev/zero')
    for path, sentence in (('pts', r'1\.pts is a pipe'), ('zero.npz', r'zero\.npz is a dev'), ('zero.csv', 'a device')):
        with pytest.raises(ValueError, match=sentence):
            read_landmarks(str(tmp_path / path))
