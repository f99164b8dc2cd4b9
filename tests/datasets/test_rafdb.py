import os
import time

import numpy as np
import pytest
from miniature import make_rafdb
from mmpretrain.registry import DATASETS

from mmfer.datasets import RAFDB

CLASSES = ('surprise', 'fear', 'disgust', 'happiness', 'sadness', 'anger', 'neutral')
LABELS = os.path.join('basic', 'EmoLabel', 'list_patition_label.txt')


@pytest.fixture
def root(tmp_path):
    return make_rafdb(tmp_path / 'raf-db', per_class=[4, 1, 3, 9, 4, 2, 7], test_per_class=2)


def rewrite(root, text):
    with open(os.path.join(root, LABELS), 'wb') as stream:
        stream.write(text)


def listed(root):
    with open(os.path.join(root, LABELS)) as stream:
        return [line.split() for line in stream]


def test_rows_are_those_of_the_file(root):
    for split, count in (('train', 30), ('test', 14)):
        dataset = DATASETS.build(dict(type='mmfer.RAFDB', data_root=root, split=split, landmarks='landmarks68.npz'))
        rows = [(name, int(label)) for name, label in listed(root) if name.startswith(split)]
        assert len(dataset) == len(rows) == count
        assert dataset.metainfo['classes'] == dataset.CLASSES == CLASSES
        with np.load(os.path.join(root, 'landmarks68.npz'), allow_pickle=False) as stored:
            points = dict(zip(stored['names'].tolist(), stored['points'], strict=True))
        for index, (name, label) in enumerate(rows):
            info = dataset.get_data_info(index)
            stem = name.removesuffix('.jpg')
            assert info['img_path'] == os.path.join(root, 'basic/Image/aligned', f'{stem}_aligned.jpg')
            assert (info['gt_label'], info['sample_idx']) == (label - 1, index)
            assert np.array_equal(info['landmarks'], points[f'{stem}_aligned.jpg'])
            assert info['landmark_valid'] is True
            assert 'clean_label' not in info


def test_counts_by_class(root):
    assert np.bincount(RAFDB(root).get_gt_labels()).tolist() == [4, 1, 3, 9, 4, 2, 7]
    assert np.bincount(RAFDB(root, split='test').get_gt_labels()).tolist() == [2] * 7


@pytest.mark.parametrize(('encoding', 'end', 'gap'), [('utf-8-sig', '\r\n', '\t'), ('utf-16', '\n', '  ')])
def test_a_label_file_out_of_any_editor(root, encoding, end, gap):
    before = RAFDB(root).fingerprint()
    rewrite(root, end.join([gap.join(row) for row in listed(root)] + ['', '']).encode(encoding))
    assert RAFDB(root).fingerprint() == before


@pytest.mark.parametrize(
    ('line', 'reason'),
    [
        ('train_00099.jpg', '1 fields'),
        ('train_00099.jpg 3 4', '3 fields'),
        ('train_00099.jpg 8', 'label 8 is not among 1-7'),
        ('train_00099.jpg 0', 'label 0 is not among 1-7'),
        ('train_00099.jpg happy', 'label happy is not among 1-7'),
        ('valid_00099.jpg 3', 'must start with train_ or test_'),
        ('train_00001.jpg 3', 'listed twice, first in line 1'),
        ('train_../x.jpg 3', 'without a folder'),
    ],
)
def test_a_bad_line_is_named_with_file_and_number(root, line, reason):
    rows = [' '.join(row) for row in listed(root)]
    rewrite(root, '\n'.join([*rows[:5], line, *rows[5:]]).encode())
    with pytest.raises(ValueError, match='has 1 bad line; expected ') as error:
        RAFDB(root)
    assert f"list_patition_label.txt:6: '{line}' (" in str(error.value)
    assert reason in str(error.value)
    assert "expected 'train_00001.jpg 5': a train_ or test_ image and a label from 1 to 7" in str(error.value)


def test_a_missing_folder_says_what_goes_where_and_how_to_get_it(tmp_path):
    with pytest.raises(FileNotFoundError) as error:
        RAFDB(str(tmp_path / 'raf-db'))
    text = str(error.value)
    assert 'RAFDB expects basic/EmoLabel/list_patition_label.txt and basic/Image/aligned' in text
    assert f'does not exist ({tmp_path / "raf-db"})' in text
    assert 'apply at http' in text
    assert f'ln -s /your/folder {tmp_path / "raf-db"}' in text


def test_half_a_folder_names_the_missing_half(root):
    os.rename(os.path.join(root, 'basic', 'EmoLabel'), os.path.join(root, 'basic', 'Labels'))
    with pytest.raises(FileNotFoundError, match=r'expects basic/EmoLabel/list_patition_label\.txt in .*lacks this'):
        RAFDB(root)


def test_missing_images_are_counted_and_three_named(root):
    for number in (2, 5, 6, 9):
        os.remove(os.path.join(root, 'basic', 'Image', 'aligned', f'train_{number:05d}_aligned.jpg'))
    with pytest.raises(
        FileNotFoundError,
        match=(
            r'4 of the 30 images that RAFDB train lists are not in .*aligned: train_00002_aligned\.jpg '
            r'\(list_patition_label\.txt:2\), train_00005_aligned\.jpg \(.*:5\), train_00006_aligned\.jpg \(.*:6\), '
            r'\.\.\.; unpack'
        ),
    ):
        RAFDB(root)
    assert len(RAFDB(root, split='test')) == 14


def test_a_landmark_file_with_too_few_rows(root):
    path = os.path.join(root, 'landmarks68.npz')
    with np.load(path, allow_pickle=False) as stored:
        arrays = {key: stored[key][3:] for key in stored.files}
    np.savez(path, **arrays)
    with pytest.raises(ValueError, match=r'lacks 3 of 30 images: train_00001_aligned\.jpg, .*; add a row'):
        RAFDB(root, landmarks='landmarks68.npz')
    assert not RAFDB(root).has_landmarks


def test_text_landmarks_that_circulate(root):
    """A folder of train_00001.txt, a point a line, row before column."""
    wanted = RAFDB(root, landmarks='landmarks68.npz')
    os.mkdir(os.path.join(root, 'points'))
    for name, face in zip(wanted.columns['name'], wanted.columns['landmarks'], strict=True):
        np.savetxt(os.path.join(root, 'points', name.replace('_aligned.jpg', '.txt')), face[:, ::-1], fmt='%.6f')
    dataset = RAFDB(root, landmarks='points')
    np.testing.assert_allclose(dataset.columns['landmarks'], wanted.columns['landmarks'], atol=1e-5)


def test_an_empty_split_is_no_dataset(root):
    rewrite(root, '\n'.join(' '.join(row) for row in listed(root) if row[0].startswith('test')).encode())
    with pytest.raises(ValueError, match=r"RAFDB has no face for split='train' in .*see what its label file lists"):
        RAFDB(root)


def test_284k_rows_load_in_seconds(tmp_path, monkeypatch):
    """As many rows as AffectNet has. The folder's listing is made up: only how rows are handled is timed here."""
    count = 283_901
    stems = [f'train_{i:06d}' for i in range(count)]
    os.makedirs(tmp_path / 'basic' / 'EmoLabel')
    os.makedirs(tmp_path / 'basic' / 'Image' / 'aligned')
    rewrite(tmp_path, ''.join(f'{stem}.jpg {i % 7 + 1}\n' for i, stem in enumerate(stems)).encode())
    monkeypatch.setattr(os, 'listdir', lambda folder: [f'{stem}_aligned.jpg' for stem in stems])
    start = time.perf_counter()
    dataset = RAFDB(str(tmp_path), label_noise=dict(kind='symmetric', rate=0.3), holdout=dict(fraction=0.1))
    seconds = time.perf_counter() - start
    assert len(dataset) == pytest.approx(0.9 * count, abs=7)
    assert seconds < 15  # about 1.5 s on two old cores


@pytest.mark.skipif(not os.path.exists(os.path.join('data', 'raf-db', LABELS)), reason='data/raf-db is not there')
def test_the_real_folder():
    root = os.path.join('data', 'raf-db')
    landmarks = 'landmarks68.npz' if os.path.exists(os.path.join(root, 'landmarks68.npz')) else None
    train, test = (RAFDB(root, split=split, landmarks=landmarks) for split in ('train', 'test'))
    assert len(train) + len(test) == len(listed(root))
    assert train.get_data_info(0)['img_path'].endswith('train_00001_aligned.jpg')
