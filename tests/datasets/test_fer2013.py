import re

import cv2
import numpy as np
import pytest
from layouts import LAYOUTS, OTHER_LAYOUTS, draw

from mmfer.datasets import FER2013

GOOD = ' '.join(map(str, np.arange(48 * 48) % 256))


def write(root, lines, header='emotion,pixels,Usage'):
    (root / 'fer2013.csv').write_text('\n'.join([header, *lines]))


def test_pixels_are_those_of_the_text(tmp_path):
    LAYOUTS['FER2013'](tmp_path, faces=2)
    dataset = FER2013(str(tmp_path), split='val', pipeline=[dict(type='mmfer.LoadFace')])
    assert dataset.columns['name'].tolist() == [f'fer2013_{14 + i:05d}.png' for i in range(14)]
    for number in range(14):
        grey = cv2.cvtColor(draw(number % 7, number, 48)[0], cv2.COLOR_BGR2GRAY)
        assert (dataset[number]['img'] == grey[..., None]).all()
        assert dataset[number]['img'].shape == (48, 48, 3)


def test_columns_in_any_order_and_with_blanks(tmp_path):
    """As in icml_face_data.csv, which has the same rows."""
    write(tmp_path, [f'3, Training, {GOOD}', f'6, PrivateTest, {GOOD}'], 'emotion, Usage, pixels')
    dataset = FER2013(str(tmp_path))
    assert dataset.get_gt_labels().tolist() == [3]
    assert dataset.columns['image'][0, :, :, 2].reshape(-1).tolist() == [i % 256 for i in range(48 * 48)]
    assert dataset.columns['line'].tolist() == [2]


@pytest.mark.parametrize(
    ('line', 'reason'),
    [
        (f'7,{GOOD},Training', 'the emotion is not among 0-6'),
        (f'happy,{GOOD},Training', 'the emotion is not among 0-6'),
        (f'3,{GOOD},Validation', "usage 'Validation' is unknown"),
        (f'3,{GOOD} 5,Training', '2305 pixels'),
        (f'3,{GOOD[:-4]},Training', '2303 pixels'),
        ('3,,Training', '0 pixels'),
        (f'3,{GOOD[:-3]}256,Training', 'a pixel is not in 0-255'),
        (f'3,{GOOD[:-3]}-01,Training', 'a pixel is not in 0-255'),
        (f'3,{GOOD[:-3]}x5,Training', 'the pixels are no numbers'),
        (f'3,{GOOD}', '2 cells instead of 3'),
    ],
)
def test_bad_lines(tmp_path, line, reason):
    assert GOOD.endswith(' 255')
    write(tmp_path, [f'1,{GOOD},Training', line, f'2,{GOOD},Training'])
    with pytest.raises(ValueError, match=rf'fer2013.csv has 1 bad line; expected .*(\n.*)*fer2013.csv:3: .*{reason}'):
        FER2013(str(tmp_path))


def test_lines_that_make_up_for_each_other_are_both_named(tmp_path):
    write(tmp_path, [f'1,{GOOD} 5,Training', f'2,{GOOD[:-4]},Training'])
    with pytest.raises(ValueError, match=r':2: .*2305 pixels(.|\n)*:3: .*2303 pixels'):
        FER2013(str(tmp_path))


def test_a_header_without_pixels(tmp_path):
    write(tmp_path, ['1,Training'], 'emotion,Usage')
    with pytest.raises(ValueError, match=r"fer2013.csv:1: the header 'emotion,Usage' has no column pixels"):
        FER2013(str(tmp_path))


def test_folders_that_lack_a_split(tmp_path):
    OTHER_LAYOUTS['FER2013'](tmp_path)
    (tmp_path / 'PublicTest').rename(tmp_path / 'public')
    assert len(FER2013(str(tmp_path), split='test')) == 21
    with pytest.raises(FileNotFoundError, match=re.escape('FER2013 expects PublicTest in data_root=')):
        FER2013(str(tmp_path), split='val')


def test_folders_by_other_names(tmp_path):
    OTHER_LAYOUTS['FER2013'](tmp_path)
    before = FER2013(str(tmp_path)).get_gt_labels()
    (tmp_path / 'Training').rename(tmp_path / 'train')
    (tmp_path / 'train/happy').rename(tmp_path / 'train/3_Happiness')
    assert np.array_equal(FER2013(str(tmp_path)).get_gt_labels(), before)
