import os

import numpy as np
import pytest
from layouts import LAYOUTS

from mmfer.datasets import CAERS, SFEW, FolderFaces
from mmfer.datasets.annotations.class_folders import by_value
from mmfer.datasets.labels.schema import ORDERS


@pytest.fixture
def caers(tmp_path):
    LAYOUTS['CAERS'](tmp_path)
    return tmp_path


@pytest.fixture
def folders(tmp_path):
    LAYOUTS['FolderFaces'](tmp_path)
    return tmp_path


@pytest.fixture
def said(monkeypatch) -> list[str]:
    lines: list[str] = []
    for module in ('images.listing', 'annotations.class_folders'):
        monkeypatch.setattr(f'mmfer.datasets.{module}.print_log', lambda text, **kwargs: lines.append(text))
    return lines


def test_folders_are_known_by_any_name(caers):
    before = CAERS(str(caers))
    for name, other in (('Angry', 'anger'), ('Happy', 'HAPPINESS'), ('Sad', '5_sad')):
        (caers / 'train' / name).rename(caers / 'train' / other)
    after = CAERS(str(caers))
    assert np.array_equal(after.get_gt_labels(), before.get_gt_labels())
    assert after.columns['name'][0] == 'train/anger/frame 000.png'


def test_rows_do_not_depend_on_the_order_of_the_disk(caers, monkeypatch):
    before = CAERS(str(caers)).fingerprint()
    monkeypatch.setattr(os, 'listdir', lambda place, real=os.listdir: sorted(real(place), reverse=True))
    assert CAERS(str(caers)).fingerprint() == before


def test_a_folder_of_no_class(caers):
    (caers / 'train/Bored').mkdir()
    with pytest.raises(
        ValueError,
        match=r'Bored in .*train is no class of CAERS: expected a folder for each of anger, '
        r'disgust, .*; rename or move it',
    ):
        CAERS(str(caers))
    (caers / 'train/Bored').rename(caers / 'train/.cache')
    assert len(CAERS(str(caers))) == 21


def test_a_class_without_a_folder(caers):
    (caers / 'train/Fear').rename(caers / 'Fear')
    with pytest.raises(FileNotFoundError, match=r'CAERS expects a folder for each of .*train, which lacks fear; '):
        CAERS(str(caers))


def test_what_is_passed_over_is_counted_by_kind(caers, said):
    for name in ('Fear/Thumbs.db', 'Fear/notes.txt', 'Sad/.frame.png', 'Sad/a.HEIC', 'lost.png', '.DS_Store'):
        (caers / 'train' / name).touch()
    (caers / 'train/Sad/day 2').mkdir()
    assert len(CAERS(str(caers))) == 21
    assert said == [
        f'CAERS: 7 files and folders of {caers}/train are passed over: 3 hidden, 1 .heic, 1 .txt, 1 beside the class '
        'folders, 1 sub-folder (convert pictures to .jpg or .png; what lies in sub-folders must be moved up)'
    ]


@pytest.mark.parametrize(
    ('train', 'val'),
    [('Train/Train_Aligned_Faces', 'Val/Val_Aligned_Faces_new'), ('train_aligned_faces', 'Val_Aligned_Faces_new')],
)
def test_sfew_as_different_people_unpack_it(tmp_path, train, val):
    LAYOUTS['SFEW'](tmp_path / 'sfew')
    for name, other in (('Train_Aligned_Faces', train), ('Val_Aligned_Faces', val)):
        place = tmp_path / 'other' / other
        place.parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / 'sfew' / name).rename(place)
    dataset = SFEW(str(tmp_path / 'other'), split='val')
    assert dataset.columns['name'][0] == f'{val}/Angry/frame 000.png'
    assert len(dataset) == len(SFEW(str(tmp_path / 'other'))) == 21


def test_sfew_half_unpacked(tmp_path):
    LAYOUTS['SFEW'](tmp_path)
    (tmp_path / 'Val_Aligned_Faces').rename(tmp_path / 'Test')
    with pytest.raises(FileNotFoundError, match=r'SFEW expects Val_Aligned_Faces in .*lacks this'):
        SFEW(str(tmp_path), split='val')


def test_classes_of_any_folder_are_those_of_all_splits(folders):
    (folders / 'test/Surprise').rename(folders / 'test/Boredom')
    names = ('anger', 'boredom', 'disgust', 'fear', 'happiness', 'neutral', 'sadness', 'surprise')
    for split in ('train', 'val', 'test'):
        assert FolderFaces(str(folders), split=split).metainfo['classes'] == names
    assert np.bincount(FolderFaces(str(folders), split='test').get_gt_labels(), minlength=8).tolist() == [3] * 7 + [0]
    with pytest.raises(ValueError, match='boredom of .* would be dropped silently'):
        FolderFaces(str(folders), split='test', metainfo=dict(classes='rafdb'))
    test = FolderFaces(str(folders), split='test', metainfo=dict(classes='rafdb'), drop_classes=['boredom'])
    assert test.metainfo['classes'] == ORDERS['rafdb']
    assert np.bincount(test.get_gt_labels(), minlength=7).tolist() == [0, 3, 3, 3, 3, 3, 3]


def test_val_of_any_folder_is_its_own_or_held_out(folders):
    assert FolderFaces(str(folders), split='val').columns['name'][0].startswith('val/')
    train, val = (FolderFaces(str(folders), split=split, holdout=dict(fraction=0.34)) for split in ('train', 'val'))
    assert (len(train), len(val)) == (14, 7)
    assert val.columns['name'][0].startswith('train/')
    (folders / 'val').rename(folders / 'development')
    with pytest.raises(FileNotFoundError, match='FolderFaces expects val in '):
        FolderFaces(str(folders), split='val')


def numbered(folders, names: dict[str, str]) -> None:
    for split in ('train', 'val', 'test'):
        for place in sorted((folders / split).iterdir()):
            place.rename(place.with_name(names[place.name.lower()]))


KAGGLE = dict(surprise='1', fear='2', disgust='3', happy='4', sad='5', angry='6', neutral='7')
KAGGLE |= dict(happiness='4', sadness='5', anger='6')


@pytest.mark.parametrize('first', [0, 1])
def test_folders_named_by_numbers_count_in_the_order_of_the_classes(folders, first, said):
    by_name = FolderFaces(str(folders), metainfo=dict(classes='rafdb'))
    expected = np.bincount(by_name.get_gt_labels(), minlength=7)
    (folders / 'train' / 'Surprise' / 'one more.png').write_bytes((folders / by_name.columns['name'][0]).read_bytes())
    numbered(folders, {name: str(int(number) - 1 + first) for name, number in KAGGLE.items()})
    dataset = FolderFaces(str(folders), metainfo=dict(classes='rafdb'))
    assert dataset.metainfo['classes'] == ORDERS['rafdb']
    assert np.bincount(dataset.get_gt_labels(), minlength=7).tolist() == [expected[0] + 1, *expected[1:]]
    assert said == [
        f'the class folders of {folders} count from {first}: '
        + ', '.join(f'{number} is {name}' for number, name in enumerate(ORDERS['rafdb'], first))
    ]


def test_numbers_alone_do_not_say_what_the_classes_are(folders):
    numbered(folders, KAGGLE)
    with pytest.raises(
        ValueError,
        match=r'the class folders of .* are named by numbers \(1, 2, 3, \.\.\.\), which do not say what the classes '
        r'are: name them with metainfo=dict\(classes=\[\.\.\.\]\), a name for each number in their order, or '
        r"classes='rafdb' for RAF-DB's",
    ):
        FolderFaces(str(folders))
    with pytest.raises(
        ValueError, match=r'the numbers 1 to 7, and 5 classes are named \(a, b, c, d, e\): name as many'
    ):
        FolderFaces(str(folders), metainfo=dict(classes=list('abcde')))
    with pytest.raises(ValueError, match=r'of which neither 0 nor 8 is there, so that it cannot be told whether'):
        FolderFaces(str(folders), metainfo=dict(classes='affectnet8'))
    (folders / 'test/7').rename(folders / 'test/neutral')
    with pytest.raises(ValueError, match=r'by numbers \(1, 2, 3, \.\.\.\) and others by names \(neutral\): name all'):
        FolderFaces(str(folders), metainfo=dict(classes='rafdb'))


def test_numbers_may_be_the_names_and_are_sorted_by_value(folders):
    numbered(folders, {name: f'{number}0' for name, number in KAGGLE.items()})
    names = [f'{number}0' for number in range(7, 0, -1)]
    assert FolderFaces(str(folders), metainfo=dict(classes=names)).metainfo['classes'] == tuple(names)
    numbered(folders, {f'{number}0': f'group {number * 4}' for number in range(1, 8)})
    assert FolderFaces(str(folders)).metainfo['classes'] == tuple(f'group {number * 4}' for number in range(1, 8))
    assert sorted(['x²', 'x10', '2', '²', 'x9'], key=by_value) == ['2', 'x9', 'x10', 'x²', '²']


def test_class_folders_may_lie_in_the_data_folder_itself(folders):
    root = str(folders / 'train')
    whole, test = FolderFaces(root), FolderFaces(root, split='test')
    assert len(whole) == 21
    assert whole.columns['name'].tolist() == test.columns['name'].tolist()
    assert whole.columns['name'][0].startswith('Angry/')
    assert not whole.parted
    parts = [FolderFaces(root, split=split, holdout=dict(folds=3, fold=1)) for split in ('train', 'val')]
    assert sorted(name for part in parts for name in part.columns['name']) == sorted(whole.columns['name'])
    assert np.bincount(parts[1].get_gt_labels()).tolist() == [1] * 7
    assert FolderFaces(str(folders)).parted
