"""One face is the same under all names that one file has: in lists, on disk, in landmark files, noise and packs."""

import os
import unicodedata
from pathlib import Path

import numpy as np
import pytest
from miniature import face_points
from PIL import Image

from mmfer.datasets import CsvFaces, FolderFaces
from mmfer.datasets.images.face_places import shared_rows
from mmfer.datasets.labels.noise_lists import read_noise_list
from mmfer.datasets.labels.noise_manifest import NoiseManifest
from mmfer.datasets.landmarks.landmark_file import write_landmarks

TWO = unicodedata.normalize('NFD', 'é')
LISTED = ['people/André 1.jpg', './people//ben.jpg', 'people\\carl.jpg', 'people/dora.jpg']
ON_DISK = [f'people/Andr{TWO} 1.jpg', 'people/ben.jpg', 'people/carl.jpg', 'people/dora.png']
LABELS = ['happy', 'sad', 'happy', 'sad']


@pytest.fixture
def faces(tmp_path) -> Path:
    random = np.random.default_rng(0)
    for name in ON_DISK:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        Image.fromarray(random.integers(0, 255, (32, 32, 3), dtype=np.uint8)).save(tmp_path / name)
    rows = [f'{name},{label}' for name, label in zip(LISTED, LABELS, strict=True)]
    (tmp_path / 'faces.csv').write_text('\n'.join(['name,label', *rows, '']), encoding='utf-8')
    return tmp_path


def test_pictures_are_found_and_keep_the_names_of_the_list(faces):
    dataset = CsvFaces(str(faces))
    assert dataset.columns['name'].tolist() == LISTED
    for row, name in enumerate(ON_DISK):
        assert Path(dataset.get_data_info(row)['img_path']).samefile(faces / name)
    skipping = CsvFaces(str(faces), on_bad_image='skip')
    assert len(skipping) == 4
    assert skipping.fingerprint() == dataset.fingerprint()


def test_a_face_that_is_listed_under_two_names_is_listed_twice(faces):
    with (faces / 'faces.csv').open('a', encoding='utf-8') as stream:
        stream.write(f'people\\Andr{TWO} 1.jpg,sad\n')
    with pytest.raises(ValueError, match=r'faces\.csv:6: .*the image is listed twice, first in line 2'):
        CsvFaces(str(faces))


def test_landmarks_belong_to_faces_however_they_are_spelt(faces):
    points = np.stack([face_points() * 32 - row for row in range(4)]).astype(np.float32)
    names = [f'people\\Andr{TWO} 1.jpg', 'people/ben.jpg', './people/carl.jpg', 'people/dora.png']
    write_landmarks(str(faces / 'landmarks.npz'), names[::-1], points[::-1])
    dataset = CsvFaces(str(faces), landmarks='landmarks.npz')
    np.testing.assert_array_equal(dataset.columns['landmarks'], points)
    with pytest.raises(ValueError, match='lists 1 images more than once: people/ben.jpg; keep one row'):
        write_landmarks(str(faces / 'twice.npz'), ['people/ben.jpg', './people/ben.jpg'], points[:2])


def test_noise_belongs_to_faces_however_they_are_spelt(faces):
    ids = np.array([0, 1, 0, 1])
    names = ['people/André 1.jpg', 'people/ben.jpg', 'people/carl.jpg', 'people/dora.jpg']
    NoiseManifest(names, ids, 1 - ids, ['happiness', 'sadness']).write(str(faces / 'noise.csv'))
    noisy = CsvFaces(str(faces), label_noise=dict(kind='manifest', file=str(faces / 'noise.csv')))
    assert noisy.get_gt_labels().tolist() == [1, 0, 1, 0]
    lines = [f'people/Andr{TWO} 1.jpg 1', 'people\\ben.jpg 0', 'people/carl.jpg 1', 'people/dora.jpg 0']
    (faces / 'list.txt').write_text('\n'.join(lines), encoding='utf-8')
    listed = read_noise_list(str(faces / 'list.txt'), LISTED, ['happiness', 'sadness'])
    assert listed.columns == [['1', '0', '1', '0']]


def test_a_face_that_another_set_spells_otherwise_is_in_both(faces):
    rows = [f'{name},{label}' for name, label in zip(ON_DISK, LABELS, strict=True)]
    (faces / 'test.csv').write_text('\n'.join(['name,label', *rows[1:], '']), encoding='utf-8')
    train, test = CsvFaces(str(faces)), CsvFaces(str(faces), ann_file='test.csv', split='test')
    assert shared_rows([train], [test]).tolist() == [False, True, True, True]


def test_names_that_are_no_utf8_have_dollars_or_line_ends_are_names(tmp_path):
    names = [b'no UTF-8 \xff\x80.jpg', b'a$b$.jpg', b'line\nend.jpg', b'\x1b[31m.jpg', TWO.encode() + b'.jpg']
    random = np.random.default_rng(0)
    for split in ('train', 'test'):
        for word in ('happy', 'sad'):
            folder = tmp_path / split / word
            folder.mkdir(parents=True)
            for name in names:
                with open(os.fsencode(folder) + b'/' + name, 'wb') as stream:
                    Image.fromarray(random.integers(0, 255, (8, 8, 3), dtype=np.uint8)).save(stream, 'PNG')
    dataset = FolderFaces(str(tmp_path), pipeline=[dict(type='mmfer.LoadFace'), dict(type='mmfer.PackFace')])
    assert [os.fsencode(name).rsplit(b'/', 1)[1] for name in dataset.columns['name'][:5].tolist()] == sorted(
        names, key=os.fsdecode
    )
    assert [tuple(dataset[row]['inputs'].shape) for row in range(10)] == [(3, 8, 8)] * 10
    assert FolderFaces(str(tmp_path), on_bad_image='skip').fingerprint() == dataset.fingerprint()
    assert not shared_rows([dataset], [FolderFaces(str(tmp_path), split='test')]).any()
    points = np.tile(face_points() * 8, (10, 1, 1))
    write_landmarks(str(tmp_path / 'x.npz'), dataset.columns['name'].tolist(), points)
    assert FolderFaces(str(tmp_path), landmarks='x.npz').has_landmarks
