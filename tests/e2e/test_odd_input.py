"""What is odd but in order changes nothing, or what the log says.

docs/reliability.md is the list: a row for each test here and a test for each row there.
"""

import re
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from e2e.clone import NARROW, ROOT, make_clone, tiny
from mmengine.config import Config
from mmengine.registry import DATASETS, DefaultScope
from PIL import Image

from mmfer.engine.checks.images import check_images

CONFIG = 'configs/lanet/r18_rafdb_96px_12e.py'
LABELS = Path('data/raf-db/basic/EmoLabel/list_patition_label.txt')
FACES = Path('data/raf-db/basic/Image/aligned')
LANDMARKS = Path('data/raf-db/landmarks68.npz')


@dataclass(frozen=True)
class Oddity:
    """Something odd, what the log says about it, and the rows of the training set that it takes away."""

    odd: str
    make: Callable[[], object]
    says: tuple[str, ...] = ()
    gone: tuple[int, ...] = ()
    skip: bool = False


def face(number: int) -> Path:
    return FACES / f'train_{number:05d}_aligned.jpg'


def save_other_kinds():
    for number, kind, mode in ((1, 'JPEG', 'L'), (2, 'JPEG', 'CMYK'), (3, 'PNG', 'RGBA'), (4, 'PNG', 'I;16')):
        with Image.open(face(number)) as image:
            other = (
                Image.fromarray(np.asarray(image.convert('L')).astype(np.uint16) * 257)
                if ';' in mode
                else (image.convert(mode))
            )
        other.save(face(number), kind)


def write_labels_otherwise(encoding: str = 'utf-8-sig', end: str = '\r\n') -> None:
    lines = LABELS.read_text().splitlines()
    lines = [line.replace(' ', '\t') if i % 2 else f'  {line} ' for i, line in enumerate(lines)]
    LABELS.write_bytes(end.join([*lines[:5], '', ' ', *lines[5:], '']).encode(encoding))


def write_labels_with_a_point():
    LABELS.write_text(re.sub(r'(?<=\d)(?=[ \t]*$)', '.0', LABELS.read_text(), flags=re.MULTILINE))


def name_a_face_otherwise():
    face(5).rename(FACES / 'train_Ägypten 笑_aligned.jpg'.replace(' ', '-'))
    LABELS.write_text(LABELS.read_text().replace('train_00005.jpg', 'train_Ägypten-笑.jpg'), encoding='utf-8')
    with np.load(LANDMARKS) as rows:
        names = np.array([name.replace('train_00005', 'train_Ägypten-笑') for name in rows['names'].tolist()])
        np.savez(LANDMARKS, **dict(rows) | dict(names=names))


def name_a_face_as_macos_does():
    if face(5).exists():
        name_a_face_otherwise()
    for path in FACES.glob('train_*gypten*'):
        path.rename(path.with_name(unicodedata.normalize('NFD', path.name)))


def save_as_png():
    for number in (6, 7):
        cv2.imwrite(str(face(number).with_suffix('.png')), cv2.imread(str(face(number))))
        face(number).unlink()


def change_landmarks(change: Callable[[np.ndarray, np.ndarray], object]) -> None:
    with np.load(LANDMARKS) as rows:
        rows = dict(rows)
    change(rows['points'], rows['score'])
    np.savez(LANDMARKS, **rows)


def lose_landmarks(points: np.ndarray, score: np.ndarray) -> None:
    points[0, 3], points[1, 5, 0], score[2] = np.nan, np.inf, 0


def turn_four(points: np.ndarray, _: np.ndarray) -> None:
    points[:4] = points[:4, :, ::-1]


def spoil_two_pictures():
    face(2).write_bytes(b'')
    face(9).write_text('<html>')


ODDITIES = [
    Oddity('a grey, CMYK, 16-bit or transparent picture, or one under the name of another format', save_other_kinds),
    Oddity('a label file with byte-order mark, CRLF, tabs, blanks around and blank lines', write_labels_otherwise),
    Oddity('a label file in UTF-16', lambda: write_labels_otherwise('utf-16', '\n')),
    Oddity('a label such as 3.0', write_labels_with_a_point),
    Oddity('a name outside ASCII', name_a_face_otherwise),
    Oddity(
        'a picture that no line lists',
        lambda: (FACES / 'train_99999_aligned.jpg').write_bytes(b''),
        says=(f'RAFDB: 1 images in {FACES} are in no row of the label file and are not used',),
    ),
    Oddity(
        'a name outside ASCII, its accents spelt on disk as macOS does',
        name_a_face_as_macos_does,
        says=('RAFDB train: 1 of 16 images are there under a name that is spelt otherwise, which is taken: train_A',),
    ),
    Oddity(
        'pictures that are .png where the list says .jpg',
        save_as_png,
        says=(
            'RAFDB train: 2 of 16 images are there under a name that is spelt otherwise, which is taken: '
            'train_00006_aligned.png for train_00006_aligned.jpg, train_00007_aligned.png for train_00007_aligned.jpg',
        ),
    ),
    Oddity(
        'landmarks that are NaN, or were not found',
        lambda: change_landmarks(lose_landmarks),
        says=('13 with landmarks, 1 not found, 2 NaN',),
    ),
    Oddity(
        'landmarks beside their picture',
        lambda: change_landmarks(lambda points, _: np.add(points[:4], 50, points[:4])),
        says=('RAFDB train: the landmarks of 4 of 16 faces are not on their image', 'or give these rows score 0'),
    ),
    Oddity(
        'some landmarks that are turned or mirrored',
        lambda: change_landmarks(turn_four),
        says=('RAFDB train: the landmarks of 4 of 16 faces do not stand upright', 'or give their rows score 0'),
    ),
    Oddity(
        'landmarks in pixels of smaller pictures',
        lambda: change_landmarks(lambda points, _: np.multiply(points, 0.5, points)),
        says=('RAFDB train: the landmarks of nearly all faces lie in the upper left corner of their image',),
    ),
    Oddity(
        "pictures that cannot be used, with on_bad_image='skip'",
        spoil_two_pictures,
        gone=(1, 8),
        skip=True,
        says=(
            "RAFDB train: on_bad_image='skip' leaves out 2 of 16 images:",
            f'{face(2)} ({LABELS.name}:2): empty',
            f"{face(9)} ({LABELS.name}:9): no picture (it begins with b'<html>')",
        ),
    ),
]


def test_every_row_of_the_page_is_tested():
    text = (ROOT / 'docs/reliability.md').read_text()
    table = text[text.index('| what is odd |') :].split('\n\n')[0]
    rows = re.findall(r'^\| (.+?) \| .+ \|$', table, re.MULTILINE)
    assert [oddity.odd for oddity in ODDITIES] == rows[1:]


@pytest.fixture
def logged(monkeypatch) -> list[str]:
    lines: list[str] = []
    for module in (
        'datasets.images.bad_images',
        'datasets.images.image_files',
        'engine.checks.images',
    ):
        monkeypatch.setattr(f'mmfer.{module}.print_log', lambda text, **_: lines.append(text))
    return lines


def training_set(oddity: Oddity):
    cfg = Config.fromfile(CONFIG)
    settings = dict(on_bad_image='skip') if oddity.skip else {}
    with DefaultScope.overwrite_default_scope('mmpretrain'):
        dataset = DATASETS.build({**cfg.train_dataloader.dataset, **settings})
    check_images([dataset])
    return dataset


def luminance(bgr: torch.Tensor) -> torch.Tensor:
    return 0.114 * bgr[0] + 0.587 * bgr[1] + 0.299 * bgr[2]


@pytest.mark.parametrize('oddity', ODDITIES, ids=lambda oddity: oddity.odd)
def test_faces_and_labels_stay_as_they_are(oddity, tmp_path, monkeypatch, logged):
    monkeypatch.chdir(make_clone(tmp_path))
    before = training_set(oddity)
    faces = [before[row]['inputs'].float() for row in range(len(before))]
    logged.clear()
    oddity.make()
    after = training_set(oddity)
    rows = [row for row in range(16) if row not in oddity.gone]
    assert after.get_gt_labels().tolist() == before.get_gt_labels()[rows].tolist()
    assert np.array_equal(
        after.columns['name'] == before.columns['name'][rows], np.array(rows) != (4 if 'ASCII' in oddity.odd else -1)
    )
    for row, old in enumerate(rows):
        now = after[row]['inputs'].float()
        if 'CMYK' in oddity.odd and old < 4:  # its colours are gone, or it was saved as JPEG once more
            assert (luminance(now) - luminance(faces[old])).abs().mean() < 4
        else:
            assert torch.equal(now, faces[old])
    said = '\n'.join([*logged, after.summary()])
    for words in oddity.says:
        assert words in said
    assert ('leaves out' in said) == oddity.skip


def test_a_run_without_the_bad_ones_and_with_odd_landmarks_trains(tmp_path, monkeypatch, trained):
    monkeypatch.chdir(make_clone(tmp_path))
    for oddity in ODDITIES:
        if 'UTF-16' not in oddity.odd and 'beside' not in oddity.odd:
            oddity.make()
    runner = trained(
        CONFIG,
        tiny(CONFIG) | NARROW | {'train_dataloader.dataset.on_bad_image': 'skip', 'train_dataloader.batch_size': 7},
    )
    assert runner.iter == 2
    assert len(runner.train_dataloader.dataset) == 14
    losses = [value for name, value in runner.message_hub.log_scalars.items() if 'loss' in name]
    assert losses
    assert all(np.isfinite(value.data[0]).all() for value in losses)
