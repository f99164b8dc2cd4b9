import os
import unicodedata

import numpy as np
import pytest

from mmfer.datasets.images.image_files import as_on_disk, log_unlisted, missing_rows, require_images
from mmfer.datasets.reading.files import is_image, names_array


def test_each_folder_is_listed_once_and_nothing_is_statted(tmp_path, monkeypatch):
    for folder in ('a', 'b'):
        (tmp_path / folder).mkdir()
        for i in range(50):
            (tmp_path / folder / f'{i}.jpg').touch()
    names = [f'{folder}/{i}.jpg' for i in range(52) for folder in ('a', 'b', 'c')]
    listed, statted = [], []
    monkeypatch.setattr(os, 'listdir', lambda place, real=os.listdir: listed.append(place) or real(place))
    monkeypatch.setattr(os, 'stat', lambda *args, real=os.stat, **kwargs: statted.append(args) or real(*args, **kwargs))
    missing = [names[row] for row in missing_rows(str(tmp_path), names)]
    assert sorted(missing) == sorted(n for n in names if n.startswith('c/') or n.endswith(('/50.jpg', '/51.jpg')))
    assert len(listed) == 2
    assert len(statted) <= 3


def test_of_a_huge_list_some_are_looked_for(tmp_path, monkeypatch):
    monkeypatch.setattr('mmfer.datasets.images.image_files._ALL_CHECKED', 100)
    monkeypatch.setattr('mmfer.datasets.images.image_files._SAMPLE', 3)
    names = names_array([f'x/{i}.jpg' for i in range(201)])
    (tmp_path / 'x').mkdir()
    for i in (0, 100, 200):
        (tmp_path / f'x/{i}.jpg').touch()
    require_images(str(tmp_path), names, 'Huge')
    (tmp_path / 'x/100.jpg').unlink()
    with pytest.raises(FileNotFoundError, match=r'1 of the 3 images that Huge lists .*: x/100.jpg \(all.csv:5102\); '):
        require_images(str(tmp_path), names, 'Huge', '/data/all.csv', np.arange(5002, 5203))


def test_images_that_nobody_lists_are_counted_where_others_are_listed(tmp_path, monkeypatch):
    lines = []
    monkeypatch.setattr('mmfer.datasets.images.image_files.print_log', lambda text, **kwargs: lines.append(text))
    for name in ('a/1.jpg', 'a/2.PNG', 'a/list.txt', 'a/.3.jpg', 'b/4.jpg', 'c/5.jpg'):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    log_unlisted(str(tmp_path), ['a/1.jpg', 'b/4.jpg', 'd/6.jpg'], 'Some')
    assert lines == [f'Some: 1 images in {tmp_path} are in no row of the label file and are not used (1 .png)']
    log_unlisted(str(tmp_path), ['a/1.jpg', 'a/2.PNG'], 'Some')
    assert len(lines) == 1


TWO = unicodedata.normalize('NFD', 'é')


@pytest.fixture
def said(monkeypatch) -> list[str]:
    lines: list[str] = []
    monkeypatch.setattr('mmfer.datasets.images.image_files.print_log', lambda text, **kwargs: lines.append(text))
    return lines


def test_images_are_found_under_names_that_are_spelt_otherwise(tmp_path, said):
    there = ('a.png', f'Ren{TWO}/Andr{TWO}.jpg', 'x/b.jpg', 'x/c.bmp', 'x/c.png', 'x/d.jpg', 'x/e.txt', 'x/f.PNG')
    for name in there:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    listed = [
        'a.jpg',
        'René/André.jpg',
        '.\\x\\b.jpg',
        'x/c.jpg',
        'x/d.png',
        'x/d.jpg',
        'x/e.jpg',
        'x//f.jpg',
        'y/g.jpg',
    ]
    names = names_array(listed)
    spelt = as_on_disk(str(tmp_path), names, 'Some train').tolist()
    # c could be either, d.jpg is listed itself, e is no picture
    assert spelt == ['a.png', there[1], 'x/b.jpg', 'x/c.jpg', 'x/d.png', 'x/d.jpg', 'x/e.jpg', 'x/f.PNG', 'y/g.jpg']
    assert said == [
        'Some train: 4 of 9 images are there under a name that is spelt otherwise, which is taken: a.png for a.jpg, '
        f'{there[1]} for René/André.jpg, x/b.jpg for .\\x\\b.jpg, ...'
    ]
    assert as_on_disk(str(tmp_path), names, 'Some train', endings=False).tolist()[0] == 'a.jpg'
    whole = names_array(['x/b.jpg', './a.png'])
    assert as_on_disk(str(tmp_path), whole, 'Some train') is whole


def test_an_image_that_is_listed_with_another_spelling_is_no_unlisted_one(tmp_path, said):
    for name in (f'Andr{TWO}.jpg', 'a.png', 'b.heic'):
        (tmp_path / name).touch()
    log_unlisted(str(tmp_path), ['André.jpg', './a.jpg'], 'Some')
    assert said == [f'Some: 1 images in {tmp_path} are in no row of the label file and are not used (1 .heic)']


def test_what_an_image_is_called():
    assert [name for name in ('a.jpg', 'b.JPEG', 'c.txt', '.d.png', 'e', 'f.webp') if is_image(name)] == [
        'a.jpg',
        'b.JPEG',
        'f.webp',
    ]
