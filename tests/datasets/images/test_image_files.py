import os

import numpy as np
import pytest

from mmfer.datasets.images.image_files import log_unlisted, missing_rows, require_images
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
    assert len(lines) == 1
    assert lines[0].startswith('Some: 1 images in ')
    log_unlisted(str(tmp_path), ['a/1.jpg', 'a/2.PNG'], 'Some')
    assert len(lines) == 1


def test_what_an_image_is_called():
    assert [name for name in ('a.jpg', 'b.JPEG', 'c.txt', '.d.png', 'e', 'f.webp') if is_image(name)] == [
        'a.jpg',
        'b.JPEG',
        'f.webp',
    ]
