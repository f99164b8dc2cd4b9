import os
import re

import numpy as np
import pytest
from layouts import LAYOUTS, OTHER_LAYOUTS, draw

from mmfer.datasets import AffectNet, affectnet, collate_faces
from mmfer.datasets.labels.schema import ORDERS

PIPELINE = [dict(type='mmfer.LoadFace'), dict(type='mmfer.PackFace')]


@pytest.fixture
def files(tmp_path):
    LAYOUTS['AffectNet'](tmp_path, faces=2)
    return tmp_path


@pytest.fixture
def table(tmp_path):
    OTHER_LAYOUTS['AffectNet'](tmp_path, faces=2)
    return tmp_path


@pytest.fixture
def log(monkeypatch):
    lines = []
    monkeypatch.setattr('mmfer.datasets.affectnet.print_log', lambda text, **kwargs: lines.append(text))
    return lines


@pytest.mark.parametrize(('layouts', 'size'), [(LAYOUTS, 224), (OTHER_LAYOUTS, 100)], ids=['files', 'table'])
def test_faces_points_and_affect(layouts, size, tmp_path, log):
    layouts['AffectNet'](tmp_path, faces=2)
    dataset = AffectNet(str(tmp_path), pipeline=PIPELINE)
    batch = collate_faces([dataset[i] for i in range(16)])
    faces = batch['data_samples']
    for number in range(16):
        image, points = draw(number % 8, number, size)
        assert np.abs(batch['inputs'][number].numpy().transpose(1, 2, 0).astype(int) - image).mean() < 8  # jpeg
        np.testing.assert_allclose(faces.landmarks[number], points, atol=0.006)
    assert faces.label.tolist() == [i % 8 for i in range(16)]
    assert faces.landmark_valid.all()
    np.testing.assert_allclose(faces.valence, [-0.5 if i % 8 else 0.25 for i in range(16)])
    np.testing.assert_allclose(faces.arousal, [i % 8 / 10 for i in range(16)], rtol=1e-6)
    assert faces[3].valence.item() == -0.5
    assert log == ['AffectNet train: left out, as they carry no expression: 1 none, 1 uncertain, 1 no face']


def test_seven_classes_leave_contempt_out_when_told_to(files):
    with pytest.raises(ValueError, match=r"contempt of .* would be dropped silently .*drop_classes=\['contempt'\]"):
        AffectNet(str(files), metainfo=dict(classes='affectnet7'))
    dataset = AffectNet(str(files), metainfo=dict(classes='affectnet7'), drop_classes=['contempt'])
    assert dataset.metainfo['classes'] == ORDERS['affectnet7']
    assert np.bincount(dataset.get_gt_labels()).tolist() == [2] * 7
    assert dataset.columns['valence'].shape == dataset.columns['landmark_score'].shape == (14,)


def test_rows_are_in_the_order_of_their_numbers(files):
    assert AffectNet(str(files)).columns['name'].tolist() == [f'train_set/images/{i}.jpg' for i in range(16)]


def test_what_one_face_lacks(files):
    for kind in ('val', 'lnd'):
        (files / f'train_set/annotations/3_{kind}.npy').unlink()
    dataset = AffectNet(str(files))
    assert np.flatnonzero(np.isnan(dataset.columns['valence'])).tolist() == [3]
    assert not np.isnan(dataset.columns['arousal']).any()
    assert np.flatnonzero(~dataset.columns['landmark_valid']).tolist() == [3]


def test_bad_annotation_files_are_named(files):
    place = files / 'train_set/annotations'
    np.save(place / '3_exp.npy', np.array('11'))
    np.save(place / '5_lnd.npy', np.zeros(134))
    np.save(place / '6_exp.npy', np.array([None], dtype=object))
    (place / '7_val.npy').write_bytes(b'')
    with pytest.raises(
        ValueError,
        match=r'4 files in .*/annotations are no annotations of AffectNet: 3_exp.npy '
        r'\(label 11 is not among 0-10\), 5_lnd.npy \(.*\), 6_exp.npy .*; unpack',
    ):
        AffectNet(str(files))


def test_a_missing_image_and_one_too_many(files, monkeypatch):
    lines = []
    monkeypatch.setattr('mmfer.datasets.images.image_files.print_log', lambda text, **kwargs: lines.append(text))
    images = files / 'train_set/images'
    os.rename(images / '4.jpg', images / '400.jpg')
    with pytest.raises(
        FileNotFoundError,
        match=r'1 of the 16 images that AffectNet train lists are not in .*: '
        r'train_set/images/4.jpg; unpack',
    ):
        AffectNet(str(files))
    # 400 and the three faces without an expression.
    assert [line for line in lines if line.startswith('AffectNet: 4 images in ')]


def test_half_unpacked(files, table):
    os.rename(files / 'train_set/annotations', files / 'train_set/labels')
    with pytest.raises(FileNotFoundError, match=r'AffectNet expects train_set/annotations in .*apply at http'):
        AffectNet(str(files))
    os.rename(files / 'train_set', files / 'other')
    os.rename(files / 'Manually_Annotated_Images', files / 'images')
    with pytest.raises(FileNotFoundError, match=r'AffectNet expects Manually_Annotated_Images in '):
        AffectNet(str(files))


@pytest.mark.parametrize(
    ('column', 'value', 'reason'),
    [
        (0, '../1/training0004.jpg', 'the path leaves the data folder'),
        (0, '1/training0000.jpg', 'listed twice, first in line 2'),
        (1, 'x', "face_x 'x' is no number"),
        (3, '0', 'the box is empty: face_x 10, face_y 20, face_width 0, face_height 100'),
        (4, 'nan', 'the box is empty'),
        (3, '1e300', 'the box is beyond any picture: face_x 10, face_y 20, face_width 1e300, face_height 100'),
        (1, 'inf', 'the box is beyond any picture'),
        (6, '9' * 5000, 'is not among 0-10'),
        (5, '1;2;3', "facial_landmarks '1;2;3' is 3 numbers instead of 136"),
        (6, '11', "expression '11' is not among 0-10"),
        (6, 'happy', "expression 'happy' is not among 0-10"),
        (7, '', "valence '' is 0 numbers instead of 1"),
    ],
)
def test_bad_lines(table, column, value, reason):
    lines = (table / 'training.csv').read_text().splitlines()
    cells = lines[5].split(',')
    cells[column] = value
    lines[5] = ','.join(cells)
    (table / 'training.csv').write_text('\n'.join(lines))
    with pytest.raises(ValueError, match=r'training.csv has 1 bad line; expected subDirectory_filePath,') as error:
        AffectNet(str(table))
    assert re.search(f'training.csv:6: .*{re.escape(reason)}', str(error.value))


def test_nothing_is_asked_of_rows_without_an_expression(table):
    lines = (table / 'training.csv').read_text().splitlines()
    assert lines[-1].split(',')[6] == '10'
    (table / 'training.csv').write_text('\n'.join([*lines[:-1], 'x.jpg,NULL,NULL,NULL,NULL,NULL,10,-2,-2']))
    assert len(AffectNet(str(table))) == 16


def test_unknown_affect(table):
    text = (table / 'training.csv').read_text()
    (table / 'training.csv').write_text(text.replace(',1,-0.5,0.1\n', ',1,-2,-2\n'))
    assert np.flatnonzero(np.isnan(AffectNet(str(table)).columns['valence'])).tolist() == [1, 9]


@pytest.mark.parametrize('layouts', [LAYOUTS, OTHER_LAYOUTS], ids=['files', 'table'])
def test_annotations_are_read_once(layouts, tmp_path, monkeypatch):
    layouts['AffectNet'](tmp_path / 'data', faces=2)
    monkeypatch.setenv('MMFER_CACHE', str(tmp_path / 'cache'))
    first, reads = AffectNet(str(tmp_path / 'data')), []
    for reader in ('read_annotations', 'read_annotation_csv'):
        real = getattr(affectnet, reader)
        monkeypatch.setattr(affectnet, reader, lambda *args, real=real: reads.append(1) or real(*args))
    again = AffectNet(str(tmp_path / 'data'))
    assert not reads
    assert again.columns.keys() == first.columns.keys()
    for key, column in first.columns.items():
        np.testing.assert_array_equal(again.columns[key], column)
    for path in (tmp_path / 'data').glob('train*'):  # a file more, or another csv
        if path.is_dir():
            np.save(path / 'annotations/900_exp.npy', np.array('8'))
        else:
            path.write_text(path.read_text() + 'new.jpg,0,0,0,0,,9,-2,-2\n')
    assert len(AffectNet(str(tmp_path / 'data'))) == 16
    assert len(reads) == 1
