"""What is passed over, in whatever folder a tool reads, is counted by kind."""

import logging
from collections import Counter

import numpy as np
import pytest
from layouts import LAYOUTS

from mmfer.apis import find_pictures
from mmfer.apis.data.image_folder import image_names
from mmfer.datasets import AffectNet
from mmfer.datasets.images.listing import list_files, passed_over
from mmfer.datasets.landmarks.landmark_file import read_landmarks

PICTURES = ('a.jpg', 'b.JFIF', 'c.jpe', 'deep/d.Png', 'deep/er/e.webp')


@pytest.fixture
def folder(tmp_path):
    root = tmp_path / 'faces'
    others = ('x.heic', 'y.HEIC', 'z.gif', '._a.jpg', '.DS_Store', 'deep/Thumbs.db', 'readme', 'deep/list.txt')
    hidden = ('.cache/f.jpg', '__MACOSX/._a.jpg', '@eaDir/a.jpg')
    for name in (*PICTURES, *others, *hidden, '../elsewhere/g.jpg'):
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    (root / 'linked').symlink_to(tmp_path / 'elsewhere')
    (root / 'round').symlink_to(root)
    (root / 'folder.jpg').mkdir()
    return root


SENTENCE = (
    '13 files and folders of {} are passed over: 3 hidden, 3 hidden folders, 2 .heic, 2 linked folders, 1 .gif, 1 '
    '.txt, 1 without an ending (convert pictures to .jpg or .png; folders themselves are looked into, links to folders '
    'are not)'
)


def test_one_rule_says_what_is_a_picture_and_counts_the_rest(folder):
    names, passed = list_files(str(folder), below=True)
    assert names == sorted(PICTURES)
    assert passed_over(folder, passed) == SENTENCE.format(folder)
    names, passed = list_files(str(folder), below=False)
    assert names == ['a.jpg', 'b.JFIF', 'c.jpe']
    assert passed['sub-folder'] == 4, 'deep, linked, round and folder.jpg'


@pytest.mark.parametrize('find', [image_names, find_pictures])
def test_tools_find_the_same_and_say_what_they_pass_over(folder, find, monkeypatch):
    said = []
    monkeypatch.setattr('mmfer.datasets.images.listing.print_log', lambda text, **kwargs: said.append(text))
    found = [str(name).removeprefix(f'{folder}/') for name in find(folder)]
    assert found == sorted(PICTURES)
    assert said == [SENTENCE.format(folder)]


@pytest.mark.parametrize('find', [image_names, find_pictures])
def test_a_folder_of_other_pictures_alone(tmp_path, find):
    (tmp_path / 'a.heic').touch()
    with pytest.raises(
        ValueError,
        match=r'has no image \(looked for .*\); 1 file of .* is passed over: 1 \.heic '
        r'\(convert pictures to \.jpg or \.png\)$',
    ):
        find(tmp_path)


def test_nothing_is_said_of_nothing():
    assert passed_over('x', Counter(hidden=0)) == ''
    assert passed_over('x', Counter({'linked folder': 1})).startswith('1 folder of x is passed over: 1 linked folder (')


def test_a_folder_that_may_not_be_looked_into_is_an_error(folder, monkeypatch):
    monkeypatch.setattr(
        'os.scandir', lambda place: (_ for _ in ()).throw(PermissionError(13, 'Permission denied', place))
    )
    with pytest.raises(PermissionError):
        list_files(str(folder), below=True)


def test_hidden_files_among_annotations_are_none(tmp_path, caplog):
    points = tmp_path / 'points'
    points.mkdir()
    lines = '\n'.join(f'{x}.0 {x}.5' for x in range(1, 69))
    (points / 'a.pts').write_text(f'version: 1\nn_points: 68\n{{\n{lines}\n}}\n')
    for name in ('._a.pts', '.DS_Store', 'a.jpg'):
        (points / name).write_bytes(b'\0\5\26\7')
    with caplog.at_level(logging.INFO):
        assert read_landmarks(str(points)).names.tolist() == ['a']

    LAYOUTS['AffectNet'](tmp_path / 'affectnet')
    before = AffectNet(str(tmp_path / 'affectnet')).columns['name']
    for name in ('._0_exp.npy', '.DS_Store', 'Thumbs.db'):
        (tmp_path / 'affectnet/train_set/annotations' / name).write_bytes(b'\0\5\26\7')
    assert np.array_equal(AffectNet(str(tmp_path / 'affectnet')).columns['name'], before)


def test_a_link_that_leads_to_itself_is_a_file_that_cannot_be_read(tmp_path):
    (tmp_path / 'a.jpg').symlink_to(tmp_path / 'a.jpg')
    assert list_files(str(tmp_path), below=True).names == ['a.jpg']
