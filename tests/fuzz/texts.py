"""Readers of text: annotations, lists of labels, landmarks, settings."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import numpy as np
from fuzz.reader import Reader
from miniature import face_points

from mmfer.apis.data.image_folder import keep_settings
from mmfer.apis.data.landmark_import import import_landmarks
from mmfer.datasets import RAFDB, CsvFaces, ExpW, FERPlus
from mmfer.datasets.annotations.affectnet_files import read_annotation_csv
from mmfer.datasets.annotations.fer_csv import read_fer_csv
from mmfer.datasets.columns import check_columns
from mmfer.datasets.labels.listed_labels import choose_labels
from mmfer.datasets.labels.manifest_labels import labels_from
from mmfer.datasets.labels.noise_lists import read_noise_list
from mmfer.datasets.labels.noise_manifest import COLUMNS, NoiseManifest
from mmfer.datasets.labels.schema import ORDERS
from mmfer.datasets.landmarks.landmark_file import add_landmarks

CLASSES = ORDERS['rafdb']
NAMES = [f'train_{i:05}.jpg' for i in range(4)]
LABELS = np.array([0, 3, 3, 6])
POINTS = np.stack([face_points() * 90 + i for i in range(4)]).astype(np.float32)


def encoded(*texts: str) -> list[bytes]:
    """As several editors save them."""
    return [text.encode(code) for text in texts for code in ('utf-8', 'utf-8-sig', 'utf-16')]


def csv_faces(folder: Path) -> Reader:
    rows = '\n'.join(f'{name},{CLASSES[label]},train,anna,' for name, label in zip(NAMES, LABELS, strict=True))
    numbers = '\r\n'.join(f'{name};{label}' for name, label in zip(NAMES, LABELS, strict=True))
    seeds = encoded(f'name,label,split,identity,clean_label\n{rows}\n', f'image;expression\r\n{numbers}')

    def read() -> None:
        dataset = CsvFaces(str(folder), metainfo=dict(classes='rafdb'), lazy_init=True)
        columns = check_columns(dataset.load_columns())
        assert np.isin(columns['label'], range(7)).all()

    return Reader(folder / 'faces.csv', read, seeds)


def affectnet_csv(folder: Path) -> Reader:
    points = ';'.join(f'{value:.2f}' for value in POINTS[0].ravel())
    header = 'subDirectory_filePath,face_x,face_y,face_width,face_height,facial_landmarks,expression,valence,arousal'
    rows = '\n'.join(f'{i}/{name},10,20,100,100,{points},{i},-0.5,0.25' for i, name in enumerate(NAMES))
    path = folder / 'training.csv'
    return Reader(path, lambda: read_annotation_csv(str(path)), encoded(f'{header}\n{rows}\n', rows))


def fer2013_csv(folder: Path) -> Reader:
    path, pixels = folder / 'fer2013.csv', ' '.join(['70 80'] * 1152)
    text = f'emotion,pixels,Usage\n0,{pixels},Training\n6,{pixels},PublicTest\n'
    return Reader(path, lambda: read_fer_csv(str(path), 'train'), encoded(text))


def ferplus_folder(folder: Path) -> Reader:
    (folder / 'FER2013Train').mkdir()
    plain = ''.join(f'fer{i:07}.png,4,0,0,1,3,2,0,0,0,0\n' for i in range(3))
    boxes = plain.replace('.png,', '.png,"(0, 0, 48, 48)",')

    def read() -> None:
        check_columns(FERPlus(str(folder), lazy_init=True, reading='distribution').load_columns())

    return Reader(folder / 'FER2013Train/label.csv', read, encoded(plain, boxes))


def ferplus_csv(folder: Path) -> Reader:
    pixels = ' '.join(['70'] * 2304)
    (folder / 'fer2013.csv').write_text('emotion,pixels,Usage\n' + f'0,{pixels},Training\n' * 3)
    header = 'Usage,Image name,neutral,happiness,surprise,sadness,anger,disgust,fear,contempt,unknown,NF\n'
    rows = ''.join(f'Training,fer{i:07}.png,4,0,0,1,3,2,0,0,0,0\n' for i in range(3))

    def read() -> None:
        check_columns(FERPlus(str(folder), lazy_init=True, reading='cross_entropy').load_columns())

    return Reader(folder / 'fer2013new.csv', read, encoded(header + rows))


def rafdb_txt(folder: Path) -> Reader:
    (folder / 'basic/EmoLabel').mkdir(parents=True)
    (folder / 'basic/Image/aligned').mkdir(parents=True)
    text = ''.join(f'{name} {label + 1}\n' for name, label in zip(NAMES, LABELS, strict=True))

    def read() -> None:
        check_columns(RAFDB(str(folder), lazy_init=True).load_columns())

    return Reader(folder / 'basic/EmoLabel/list_patition_label.txt', read, encoded(text))


def expw_lst(folder: Path) -> Reader:
    (folder / 'label').mkdir()
    (folder / 'image').mkdir()
    text = ''.join(f'{name} {i} 28 113 226 141 22.9 3\n' for i, name in enumerate(NAMES))

    def read() -> None:
        check_columns(ExpW(str(folder), lazy_init=True).load_columns())

    return Reader(folder / 'label/label.lst', read, encoded(text))


def noise_list(folder: Path) -> Reader:
    path = folder / 'noise.txt'
    plain = ''.join(f'{name} {label + 1}\n' for name, label in zip(NAMES, LABELS, strict=True))
    two = 'index,image,noisy,clean\n' + ''.join(
        f'{i},{name},{CLASSES[label - 1]},{CLASSES[label]}\n'
        for i, (name, label) in enumerate(zip(NAMES, LABELS, strict=True))
    )

    def read() -> None:
        listed = read_noise_list(str(path), NAMES, CLASSES)
        choose_labels(str(path), listed, LABELS, dict(dataset=CLASSES, config=CLASSES))

    return Reader(path, read, encoded(plain, two))


def noise_manifest(folder: Path) -> Reader:
    path = folder / 'noise.csv'
    NoiseManifest(NAMES, LABELS, (LABELS + 1) % 7, CLASSES, dict(kind='symmetric', rate=0.3)).write(str(path))
    text = path.read_text()

    def wrap(data: bytes) -> bytes:
        """With the hash of its rows."""
        lines = data.decode(errors='replace').split('\n')
        start = lines.index(COLUMNS) if COLUMNS in lines else 0
        rows = '\n'.join(lines[start:])
        digest = hashlib.sha256((rows if rows.endswith('\n') else rows + '\n').encode()).hexdigest()
        return '\n'.join([*lines[:start], f'# sha256: {digest}', rows]).encode()

    bare = '\n'.join(line for line in text.split('\n') if not line.startswith('# sha256'))
    read = lambda: labels_from(str(path), NAMES, LABELS, CLASSES)  # noqa: E731
    return Reader(path, read, encoded(text), wrap, [bare.encode()])


def _imported(path: Path, folder: Path, text: str) -> Reader:
    """A landmark file, read and written as ours, and added to a data set."""
    source = path if path.suffix == '.csv' else path.parent

    def read() -> None:
        faces = import_landmarks(str(source), str(folder / 'out.npz'))
        add_landmarks(dict(name=np.array(faces.names)), str(source))

    return Reader(path, read, encoded(text), named=str(source))


def landmark_csv(folder: Path) -> Reader:
    header = 'name,score,' + ','.join(f'{axis}{i}' for i in range(68) for axis in 'xy')
    rows = [
        f'{name},1,' + ','.join(f'{value:.1f}' for value in face.ravel())
        for name, face in zip(NAMES, POINTS, strict=True)
    ]
    return _imported(folder / 'landmarks.csv', folder, '\n'.join([header, *rows, '']))


def landmark_pts(folder: Path) -> Reader:
    (folder / 'pts').mkdir()
    lines = '\n'.join(f'{x + 1:.2f} {y + 1:.2f}' for x, y in POINTS[0])
    return _imported(folder / 'pts/1.pts', folder, f'version: 1\nn_points: 68\n{{\n{lines}\n}}\n')


def landmark_txt(folder: Path) -> Reader:
    (folder / 'txt').mkdir()
    return _imported(folder / 'txt/1.txt', folder, '\n'.join(f'{y:.2f} {x:.2f}' for x, y in POINTS[0]))


def settings_json(folder: Path) -> Reader:
    settings = dict(template=dict(name='a', points=[[1.5, 2], [3, 4]]), size=100, png=False, images=dict(count=3))
    path = folder / 'alignment.json'
    keep_settings(path, settings)
    text = path.read_text()
    return Reader(path, lambda: keep_settings(path, settings), [text.encode(), json.dumps(settings).encode()])


TEXTS = {
    'csv_faces': csv_faces,
    'affectnet_csv': affectnet_csv,
    'fer2013_csv': fer2013_csv,
    'ferplus_folder': ferplus_folder,
    'ferplus_csv': ferplus_csv,
    'rafdb_txt': rafdb_txt,
    'expw_lst': expw_lst,
    'noise_list': noise_list,
    'noise_manifest': noise_manifest,
    'landmark_csv': landmark_csv,
    'landmark_pts': landmark_pts,
    'landmark_txt': landmark_txt,
    'settings_json': settings_json,
}
