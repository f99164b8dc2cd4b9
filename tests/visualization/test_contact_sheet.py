"""The contact sheet is read back: every picture is there, undistorted, in its place and frame."""

import cv2
import numpy as np
import pytest

from mmfer.visualization import draw_contact_sheet

COLOURS = [(200, 30, 30), (30, 200, 30), (30, 30, 200), (200, 200, 30), (30, 200, 200)]  # RGB
SIZES = [(100, 100), (50, 100), (300, 200), (48, 48), (700, 700)]


def read(path) -> np.ndarray:
    """RGB."""
    image = cv2.imread(str(path))
    assert image is not None
    return image[..., ::-1].astype(int)


def mask(image: np.ndarray, colour, tolerance=6) -> np.ndarray:
    return (np.abs(image - colour) <= tolerance).all(-1)


def boxes(sheet: np.ndarray) -> np.ndarray:
    """Left, top, right, bottom of each picture."""
    found = [np.nonzero(mask(sheet, colour)) for colour in COLOURS]
    return np.array([(x.min(), y.min(), x.max() + 1, y.max() + 1) for y, x in found])


@pytest.fixture
def faces():
    return [np.full((*size, 3), colour, np.uint8) for size, colour in zip(SIZES, COLOURS, strict=True)]


def test_pictures_stand_row_by_row_undistorted(faces, tmp_path):
    path = draw_contact_sheet(faces, [f'{i}\nsecond line' for i in range(5)], tmp_path / 'new' / 'sheet.png', columns=3)
    assert path == tmp_path / 'new' / 'sheet.png'
    found = boxes(read(path))
    middles = (found[:, :2] + found[:, 2:]) / 2
    assert np.ptp(middles[:3, 1]) < 2
    assert np.ptp(middles[3:, 1]) < 2
    assert middles[3, 1] > found[:3, 3].max()
    assert (np.diff(middles[:3, 0]) > 100).all()
    assert middles[3, 0] == pytest.approx(middles[0, 0], abs=1)
    shapes = [(bottom - top) / (right - left) for left, top, right, bottom in found]
    assert shapes == pytest.approx([height / width for height, width in SIZES], rel=0.05)
    longer = (found[:, 2:] - found[:, :2]).max(1)
    assert np.ptp(longer) <= 4  # whatever their size, their longer sides are the same


def test_frames_have_the_colours_asked_for(faces, tmp_path):
    frames = ['#ff00ff', '#000000', '#ff00ff', '#000000', '#ff00ff']
    sheet = read(draw_contact_sheet(faces, [''] * 5, tmp_path / 'sheet.png', colours=frames))
    for (left, top, right, bottom), frame in zip(boxes(sheet), frames, strict=True):
        around = sheet[top - 3 : bottom + 3, left - 3 : right + 3]
        expected, other = ((255, 0, 255), (0, 0, 0)) if frame == '#ff00ff' else ((0, 0, 0), (255, 0, 255))
        assert mask(around, expected).sum() > bottom - top
        assert mask(around, other).sum() == 0


def test_captions_and_title_are_written_and_make_room(faces, tmp_path):
    bare = read(draw_contact_sheet(faces, [''] * 5, tmp_path / 'bare.png'))
    captioned = read(draw_contact_sheet(faces, ['happiness\nwas: fear', *[''] * 4], tmp_path / 'captioned.png'))
    titled = read(draw_contact_sheet(faces, [''] * 5, tmp_path / 'titled.png', title='five faces'))
    below = boxes(captioned)[0]
    assert (captioned[below[3] + 4 :, : below[2]].max(-1) < 120).sum() > 50  # ink of the first caption
    assert (captioned[below[3] + 4 :, boxes(captioned)[2][0] :].max(-1) < 120).sum() == 0
    assert len(captioned) > len(bare)
    assert (titled[: boxes(titled)[0][1] - 4].max(-1) < 120).sum() > 50
    assert len(titled) > len(bare)


def test_few_pictures_make_a_narrow_sheet_as_wide_as_its_title(faces, tmp_path):
    one = read(draw_contact_sheet(faces[:1], ['a'], tmp_path / 'one.png'))
    assert one.shape[1] < read(draw_contact_sheet(faces, list('abcde'), tmp_path / 'five.png')).shape[1] / 3
    wide = read(draw_contact_sheet(faces[:1], ['a'], tmp_path / 'wide.png', title='a long title ' * 5))
    assert (wide[:25, :, :].max(-1) < 120).any(0).nonzero()[0].max() < wide.shape[1] - 5  # it ends before the edge


def test_what_does_not_match_is_refused(faces, tmp_path):
    with pytest.raises(ValueError, match='at least one picture'):
        draw_contact_sheet([], [], tmp_path / 'sheet.png')
    with pytest.raises(ValueError, match='5 images but 2 captions'):
        draw_contact_sheet(faces, ['a', 'b'], tmp_path / 'sheet.png')
    with pytest.raises(ValueError, match='5 images but 1 colours'):
        draw_contact_sheet(faces, list('abcde'), tmp_path / 'sheet.png', colours=['red'])
