"""Miniatures of every dataset on disk, in the exact layout of the real one.

``LAYOUTS['AffectNet'](root)`` writes one that ``AffectNet(str(root))`` reads; the faces are drawn, different for every
class. A second layout of the same dataset stands in ``OTHER_LAYOUTS``.
"""

import csv
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path

import cv2
import numpy as np
from miniature import draw_face, face_points

from mmfer.datasets.labels.schema import ORDERS

NAMES = {
    'anger': 'Angry',
    'disgust': 'Disgust',
    'fear': 'Fear',
    'happiness': 'Happy',
    'neutral': 'Neutral',
    'sadness': 'Sad',
    'surprise': 'Surprise',
    'contempt': 'Contempt',
}
VOTES = ('neutral', 'happiness', 'surprise', 'sadness', 'anger', 'disgust', 'fear', 'contempt', 'unknown', 'NF')
USAGES = {'Training': 'FER2013Train', 'PublicTest': 'FER2013Valid', 'PrivateTest': 'FER2013Test'}


def draw(label: int, number: int, size: int) -> tuple[np.ndarray, np.ndarray]:
    """A face of a class, BGR uint8 [size, size, 3], and its 68 points."""
    random = np.random.default_rng((label, number))
    points = face_points(mouth_open=(label % 3) / 2, smile=(label // 3) - 1.0, brow=(label % 2) * 2.0 - 1)
    points = ((points - 0.5) * random.uniform(0.85, 1) + 0.5) * size - 0.5
    image = draw_face(points, size, random.integers(120, 220, 3))
    return cv2.add(image, random.integers(0, 20, image.shape, dtype=np.uint8)), points.astype(np.float32)


def write(path: Path, image: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), image)


def write_csv(path: Path, rows: Sequence[Sequence]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open('w', newline='', encoding='utf-8') as stream:
        csv.writer(stream).writerows(rows)


def each(kinds: int, faces: int) -> Iterator[tuple[int, int]]:
    """(label, running number), the classes in turn."""
    return ((number % kinds, number) for number in range(kinds * faces))


def make_raf(root: Path, part: str, kinds: int, faces: int = 3) -> None:
    lines = []
    for split in ('train', 'test'):
        for label, number in each(kinds, faces):
            name = f'{split}_{number + 1:05d}'
            write(root / part / 'Image/aligned' / f'{name}_aligned.jpg', draw(label, number, 100)[0])
            lines.append(f'{name}.jpg {label + 1}\n')
    (root / part / 'EmoLabel').mkdir(parents=True)
    (root / part / 'EmoLabel/list_patition_label.txt').write_text(''.join(lines))


def make_affectnet(root: Path, faces: int = 3) -> None:
    """The layout of npy files; the first training face of each of 'none', 'uncertain' and 'no face' is there too."""
    for split, extra in (('train_set', 3), ('val_set', 0)):
        rows = [*each(8, faces), *((8 + i, 8 * faces + i) for i in range(extra))]
        for label, number in rows:
            image, points = draw(label, number, 224)
            write(root / split / 'images' / f'{number}.jpg', image)
            folder = root / split / 'annotations'
            folder.mkdir(exist_ok=True)
            # As distributed: labels and affect are texts in arrays without dimensions, points 136 numbers in a row.
            np.save(folder / f'{number}_exp.npy', np.array(str(label)))
            np.save(folder / f'{number}_val.npy', np.array('-0.5' if label else '0.25'))
            np.save(folder / f'{number}_aro.npy', np.array(str(label / 10)))
            np.save(folder / f'{number}_lnd.npy', points.astype(np.float64).reshape(-1))


def make_affectnet_csv(root: Path, faces: int = 3) -> None:
    """The layout of csv files; validation.csv lacks its header, as distributed."""
    header = [
        'subDirectory_filePath',
        'face_x',
        'face_y',
        'face_width',
        'face_height',
        'facial_landmarks',
        'expression',
        'valence',
        'arousal',
    ]
    for split, extra in (('training', 3), ('validation', 0)):
        rows = [header] if split == 'training' else []
        for label, number in [*each(8, faces), *((8 + i, 8 * faces + i) for i in range(extra))]:
            face, points = draw(label, number, 100)
            image = np.zeros((130, 120, 3), dtype=np.uint8)
            image[20:120, 10:110] = face
            name = f'{number % 5 + 1}/{split}{number:04d}.jpg'
            write(root / 'Manually_Annotated_Images' / name, image)
            text = ';'.join(f'{value:.2f}' for value in (points + [10, 20]).reshape(-1))
            affect = (-2, -2) if label > 7 else (-0.5 if label else 0.25, label / 10)
            rows.append([name, 10, 20, 100, 100, text, label, *affect])
        write_csv(root / f'{split}.csv', rows)


def make_fer2013(root: Path, faces: int = 3) -> None:
    rows = [['emotion', 'pixels', 'Usage']]
    for usage in USAGES:
        for label, number in each(7, faces):
            grey = cv2.cvtColor(draw(label, number, 48)[0], cv2.COLOR_BGR2GRAY)
            rows.append([label, ' '.join(map(str, grey.reshape(-1))), usage])
    write_csv(root / 'fer2013.csv', rows)


def make_fer2013_folders(root: Path, faces: int = 3) -> None:
    words = ('angry', 'disgust', 'fear', 'happy', 'sad', 'surprise', 'neutral')
    for usage in USAGES:
        for label, number in each(7, faces):
            grey = cv2.cvtColor(draw(label, number, 48)[0], cv2.COLOR_BGR2GRAY)
            write(root / usage / words[label] / f'{usage}_{number}.jpg', grey)


def ferplus_votes(label: int) -> list[int]:
    """Nine of ten for the label, one for the next emotion; of the label 8, most for 'unknown'."""
    votes = [0] * len(VOTES)
    votes[label], votes[(label + 1) % 8] = 9, 1
    return votes


def fer2013_label(label: int, number: int) -> int:
    """What FER2013 says of a face of FER+: the same, but neutral of each second one of anger; fear of contempt."""
    name = ('fear' if label > 6 else ORDERS['ferplus'][label]) if label >= 0 else 'happiness'
    return ORDERS['fer2013'].index('neutral' if name == 'anger' and number % 16 > 7 else name)


def make_ferplus(root: Path, faces: int = 3) -> None:
    """Votes and pixels in two csv files; a face a split is unknown, and one was taken out by its authors."""
    votes, pixels, count = [['Usage', 'Image name', *VOTES]], [['emotion', 'pixels', 'Usage']], 0
    for usage in USAGES:
        for label, number in [*each(8, faces), (8, 8 * faces), (-1, 8 * faces + 1)]:
            grey = cv2.cvtColor(draw(max(label, 0), number, 48)[0], cv2.COLOR_BGR2GRAY)
            pixels.append([fer2013_label(label, number), ' '.join(map(str, grey.reshape(-1))), usage])
            votes.append(
                [usage, f'fer{count:07d}.png', *ferplus_votes(label)] if label >= 0 else [usage, '', *[0] * 9, 10]
            )
            count += label >= 0
    write_csv(root / 'fer2013new.csv', votes)
    write_csv(root / 'fer2013.csv', pixels)


def make_ferplus_folders(root: Path, faces: int = 3) -> None:
    count, own = 0, [['name', 'usage', 'label']]
    for usage, folder in USAGES.items():
        rows = []
        for label, number in [*each(8, faces), (8, 8 * faces)]:
            grey = cv2.cvtColor(draw(label, number, 48)[0], cv2.COLOR_BGR2GRAY)
            write(root / folder / f'fer{count:07d}.png', grey)
            rows.append([f'fer{count:07d}.png', '(0, 0, 48, 48)', *ferplus_votes(label)])
            own.append([f'fer{count:07d}.png', usage, ORDERS['fer2013'][fer2013_label(label, number)]])
            count += 1
        write_csv(root / folder / 'label.csv', rows)
    write_csv(root / 'fer2013_labels.csv', own)


def make_class_folders(
    root: Path, splits: Sequence[str], order: str, extension: str, size: tuple[int, int], faces: int = 3
) -> None:
    for split in splits:
        for label, number in each(len(ORDERS[order]), faces):
            image = cv2.resize(draw(label, number, 100)[0], size)
            write(root / split / NAMES[ORDERS[order][label]] / f'frame {number:03d}{extension}', image)


def make_expw(root: Path, faces: int = 3) -> None:
    """Two faces an image."""
    lines, pair = [], []
    for label, number in each(7, faces + faces % 2):
        pair.append((label, draw(label, number, 60)[0]))
        if len(pair) == 2:
            name = f'angry_actor_{number}.jpg'
            image = np.zeros((90, 160, 3), dtype=np.uint8)
            for face, (one, drawn) in enumerate(pair):
                left = 10 + 75 * face
                image[20:80, left : left + 60] = drawn
                lines.append(f'{name} {face} 20 {left} {left + 60} 80 {90.5 - face} {one}\n')
            write(root / 'image/origin' / name, image)
            pair = []
    (root / 'label').mkdir()
    (root / 'label/label.lst').write_text(''.join(lines))


def make_csv(root: Path, faces: int = 3) -> None:
    rows = [['name', 'label', 'split', 'identity']]
    for split in ('train', 'val', 'test'):
        for label, number in each(7, faces):
            name = f'people/{split} {number}.jpg'
            write(root / name, draw(label, number, 64)[0])
            rows.append([name, NAMES[ORDERS['rafdb'][label]], split, f'person {split}{number // 2}'])
    write_csv(root / 'faces.csv', rows)


LAYOUTS: dict[str, Callable[[Path], None]] = {
    'RAFDB': partial(make_raf, part='basic', kinds=7),
    'RAFDBCompound': partial(make_raf, part='compound', kinds=11),
    'AffectNet': make_affectnet,
    'FER2013': make_fer2013,
    'FERPlus': make_ferplus,
    'SFEW': partial(
        make_class_folders,
        splits=('Train_Aligned_Faces', 'Val_Aligned_Faces'),
        order='sfew',
        extension='.png',
        size=(143, 181),
    ),
    'ExpW': make_expw,
    'CAERS': partial(make_class_folders, splits=('train', 'test'), order='caers', extension='.png', size=(96, 64)),
    'FolderFaces': partial(
        make_class_folders, splits=('train', 'val', 'test'), order='rafdb', extension='.jpg', size=(64, 64)
    ),
    'CsvFaces': make_csv,
}
OTHER_LAYOUTS: dict[str, Callable[[Path], None]] = {
    'AffectNet': make_affectnet_csv,
    'FER2013': make_fer2013_folders,
    'FERPlus': make_ferplus_folders,
}
