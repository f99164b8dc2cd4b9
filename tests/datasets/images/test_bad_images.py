"""One list of all images that cannot be used, or a run without them."""

import os
from pathlib import Path

import cv2
import numpy as np
import pytest
from miniature import make_rafdb
from mmengine.dataset import ClassBalancedDataset

from mmfer.datasets import RAFDB, ConcatFaces
from mmfer.datasets.images.bad_images import place_of
from mmfer.datasets.images.image_check import check_images
from mmfer.datasets.images.pictures import look_at
from mmfer.engine.checks import images, loaders

FOLDER = 'basic/Image/aligned'


@pytest.fixture
def root(tmp_path) -> Path:
    """28 faces to train and 7 to test, of 24 pixels."""
    return Path(make_rafdb(tmp_path, per_class=4, size=24, test_per_class=1))


@pytest.fixture
def logged(monkeypatch) -> list[str]:
    lines: list[str] = []
    for module in ('mmfer.datasets.images.bad_images', 'mmfer.engine.checks.images'):
        monkeypatch.setattr(f'{module}.print_log', lambda text, **_: lines.append(text))
    return lines


def spoil(root: Path) -> dict[str, str]:
    """Three faces that cannot be used, and what is wrong with them."""
    folder = root / FOLDER
    (folder / 'train_00003_aligned.jpg').write_bytes(b'')
    (folder / 'train_00011_aligned.jpg').write_text('<html>')
    whole = (folder / 'train_00020_aligned.jpg').read_bytes()
    (folder / 'train_00020_aligned.jpg').write_bytes(whole[:-40])
    return {
        f'{folder}/train_00003_aligned.jpg (list_patition_label.txt:3)': 'empty (0 bytes)',
        f'{folder}/train_00011_aligned.jpg (list_patition_label.txt:11)': "no picture (it begins with b'<html>')",
        f'{folder}/train_00020_aligned.jpg (list_patition_label.txt:20)': 'cut off or damaged',
    }


def test_before_training_all_are_listed_with_their_lines(root):
    wrong = spoil(root)
    (root / FOLDER / 'test_00002_aligned.jpg').write_bytes(b'')
    train, test = RAFDB(str(root)), RAFDB(str(root), split='test')
    with pytest.raises(ValueError, match='cannot be used') as refused:
        images.check_images([train, test])
    head, listed = str(refused.value).split(':\n  ', 1)
    assert head == (
        '4 of the 28 images that RAFDB train lists and 7 images that RAFDB test lists cannot be used; '
        "restore them, take their rows out of the label file, or leave them out with on_bad_image='skip'"
    )
    assert listed.split(';\n  ') == [
        *(f'{place}: {fault}' for place, fault in wrong.items()),
        f'{root}/{FOLDER}/test_00002_aligned.jpg (list_patition_label.txt:{28 + 2}): empty (0 bytes)',
    ]


def test_a_long_list_is_cut_and_counted(root):
    for number in range(1, 16):
        path = root / FOLDER / f'train_{number:05d}_aligned.jpg'
        path.write_bytes(b'' if number % 3 else b'no')
    with pytest.raises(ValueError, match=r'15 of the 28 images') as refused:
        images.check_images([RAFDB(str(root))])
    listed = str(refused.value).split(':\n  ', 1)[1].split(';\n  ')
    assert len(listed) == 11
    assert listed[-1].startswith('... and 5 more (10 empty, 5 no picture in all; ')


def test_missing_ones_are_found_at_once_and_listed_with_the_others(root):
    (root / FOLDER / 'train_00001_aligned.jpg').unlink()
    with pytest.raises(FileNotFoundError, match=r'1 of the 28 images .* train_00001_aligned\.jpg'):
        RAFDB(str(root))
    spoil(root)
    with pytest.raises(ValueError, match=r'(?s)4 of the 28.*00001_.*: missing;\n.*00003_.*: empty .*00020_.*: cut off'):
        RAFDB(str(root))


def test_skip_leaves_them_out_and_says_so(root, logged):
    whole = RAFDB(str(root), landmarks='landmarks68.npz')
    wrong = spoil(root)
    some = RAFDB(str(root), landmarks='landmarks68.npz', on_bad_image='skip')
    left = [row for row in range(28) if row not in (2, 10, 19)]
    for key, column in some.columns.items():
        np.testing.assert_array_equal(column, whole.columns[key][left])
    assert {image.place: image.fault for image in some.bad_images} == wrong
    assert [image.row for image in some.bad_images] == [2, 10, 19]
    (skipped,) = (line for line in logged if 'leaves out' in line)
    assert skipped == "RAFDB train: on_bad_image='skip' leaves out 3 of 28 images:" + ''.join(
        f'\n  {place}: {fault}' for place, fault in wrong.items()
    )
    images.check_images([some])  # nothing is left to complain about


def test_label_noise_and_holdout_of_a_row_do_not_depend_on_who_is_skipped(root):
    settings = dict(label_noise=dict(kind='symmetric', rate=0.5, seed=3), holdout=dict(fraction=0.25, seed=1))
    whole = RAFDB(str(root), **settings)
    labels = dict(zip(whole.columns['name'].tolist(), whole.get_gt_labels().tolist(), strict=True))
    spoil(root)
    some = RAFDB(str(root), on_bad_image='skip', **settings)
    assert 0 < len(some) < len(whole)
    assert all(
        labels[name] == label
        for name, label in zip(some.columns['name'].tolist(), some.get_gt_labels().tolist(), strict=True)
    )


def test_skipping_all_or_anything_else_is_refused(root):
    for path in (root / FOLDER).glob('test_*'):
        path.write_bytes(b'')
    with pytest.raises(ValueError, match=r'7 of the 7 images that RAFDB test lists cannot be used'):
        RAFDB(str(root), split='test', on_bad_image='skip')
    with pytest.raises(ValueError, match=r"on_bad_image must be 'raise' or 'skip', got 'ignore'"):
        RAFDB(str(root), on_bad_image='ignore')


def test_what_is_in_a_dataset_of_datasets_is_checked_too(root):
    spoil(root)
    train, test = RAFDB(str(root)), RAFDB(str(root), split='test')
    for whole in (ConcatFaces([test, train]), ClassBalancedDataset(train, oversample_thr=0.2)):
        with pytest.raises(ValueError, match=r'^3 of the '):
            images.check_images([whole])
    images.check_images([ConcatFaces([test])])


@pytest.fixture
def cache(tmp_path, monkeypatch) -> Path:
    monkeypatch.setenv('MMFER_CACHE', str(tmp_path / 'cache'))
    return tmp_path / 'cache'


def test_a_check_is_remembered_until_a_file_changes(root, cache, monkeypatch):
    looks = []
    monkeypatch.setattr('mmfer.datasets.images.image_check.look_at', lambda path: looks.append(path) or look_at(path))
    names = sorted(os.listdir(root / FOLDER))
    first = check_images(str(root / FOLDER), names)
    assert len(looks) == len(names) == 35
    assert first.size.tolist() == [[24, 24]] * 35
    again = check_images(str(root / FOLDER), names)
    assert len(looks) == 35
    for one, other in zip(first, again, strict=True):
        np.testing.assert_array_equal(one, other)

    path = root / FOLDER / names[4]
    status = path.stat()
    path.write_bytes(b'')
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))  # the size alone tells
    found = check_images(str(root / FOLDER), names)
    assert (found.rows.tolist(), found.faults.tolist(), len(looks)) == ([4], ['empty (0 bytes)'], 70)
    assert check_images(str(root / FOLDER), names).rows.tolist() == [4]
    path.unlink()
    assert check_images(str(root / FOLDER), names).faults.tolist() == ['missing']
    cv2.imwrite(str(path), np.zeros((30, 20, 3), np.uint8))
    assert check_images(str(root / FOLDER), names).size[4].tolist() == [20, 30]
    os.utime(path, ns=(0, 0))  # the time alone tells
    check_images(str(root / FOLDER), names)
    assert len(looks) == 5 * 35
    check_images(str(root / FOLDER), names[1:])  # others
    assert len(looks) == 5 * 35 + 34


def test_a_memory_that_is_damaged_or_cannot_be_kept_does_no_harm(root, cache, monkeypatch):
    names = sorted(os.listdir(root / FOLDER))
    check_images(str(root / FOLDER), names)
    (kept,) = (cache / 'checked_images').iterdir()
    kept.write_bytes(b'PK')
    assert check_images(str(root / FOLDER), names).size.min() == 24
    (cache / 'file').write_text('')
    monkeypatch.setenv('MMFER_CACHE', str(cache / 'file'))
    assert check_images(str(root / FOLDER), names).size.min() == 24


def test_what_the_disk_refuses_is_not_remembered(root, cache, monkeypatch):
    names = sorted(os.listdir(root / FOLDER))
    refused = lambda path: look_at(path)._replace(fault='unreadable (Input/output error)')  # noqa: E731
    with monkeypatch.context() as patch:
        patch.setattr('mmfer.datasets.images.image_check.look_at', refused)
        assert len(check_images(str(root / FOLDER), names).rows) == 35
    assert len(check_images(str(root / FOLDER), names).rows) == 0


def test_landmarks_beside_their_image_are_warned_of_and_nan_are_counted(root, logged):
    with np.load(root / 'landmarks68.npz') as rows:
        rows = dict(rows)
    names = rows['names'].tolist()
    for number, change in ((2, lambda p: p + 100), (5, lambda p: p / 24), (9, lambda p: p * np.nan), (12, lambda p: p)):
        row = names.index(f'train_{number:05d}_aligned.jpg')
        rows['points'][row] = change(rows['points'][row])
        rows['score'][row] = 0 if number == 12 else 1
    np.savez(root / 'landmarks68.npz', **rows)
    dataset = RAFDB(str(root), landmarks='landmarks68.npz')
    assert '26 with landmarks, 1 not found, 1 NaN' in dataset.summary()
    images.check_images([dataset])
    assert (
        'RAFDB train: the landmarks of 2 of 28 faces are not on their image (most points beside it, or all in one '
        'spot): train_00002_aligned.jpg, train_00005_aligned.jpg; see that'
    ) in logged[-1]


def test_landmarks_of_other_images_are_refused(root, logged):
    with np.load(root / 'landmarks68.npz') as rows:
        rows = dict(rows)
    np.savez(root / 'large.npz', **{**rows, 'points': rows['points'] * 10})
    sentence = (
        r'^RAFDB train: the landmarks of 28 of 28 faces are not on their image .*: train_00001_aligned\.jpg, .*'
        r'counts in their pixels, or train without them: landmarks=None$'
    )
    with pytest.raises(ValueError, match=sentence):
        images.check_images([RAFDB(str(root), landmarks='large.npz')])
    images.check_images([RAFDB(str(root), landmarks=None)])  # the cure
    images.check_images([RAFDB(str(root), landmarks='large.npz', test_mode=True)])  # nothing there reads them
    assert 'the landmarks of 28 of 28 faces are not on their image' in logged[-1]


def test_processes_that_see_other_files_are_refused(root, monkeypatch):
    dataset = RAFDB(str(root))
    loaders.check_ranks_agree(dataset)
    monkeypatch.setattr(loaders, 'all_gather_object', lambda mine: [mine, 'another'])
    with pytest.raises(ValueError, match='the processes have different training sets'):
        loaders.check_ranks_agree(dataset)


def test_a_place_is_one_line_without_orders_to_a_terminal():
    columns = dict(name=np.array(['a\x1b[2J\nb.jpg'], dtype=np.dtypes.StringDType()), line=np.array([3]))
    assert place_of(0, columns, 'x', 'y/labels.txt') == 'x/a\\x1b[2J\\nb.jpg (labels.txt:3)'
