import numpy as np
import pytest
from layouts import LAYOUTS, draw

from mmfer.datasets import ExpW


@pytest.fixture
def root(tmp_path):
    LAYOUTS['ExpW'](tmp_path, faces=2)
    return tmp_path


def relist(root, *lines):
    (root / 'label/label.lst').write_text('\n'.join(lines))


def test_a_face_is_what_is_inside_its_box(root):
    dataset = ExpW(str(root), pipeline=[dict(type='mmfer.LoadFace')])
    for number in range(14):
        drawn = draw(number % 7, number, 60)[0].astype(int)
        assert dataset[number]['img'].shape == (60, 60, 3)
        assert np.abs(dataset[number]['img'] - drawn).mean() < 8  # jpeg
    assert dataset.columns['name'][:2].tolist() == ['angry_actor_1_0.jpg', 'angry_actor_1_1.jpg']
    assert dataset.get_data_info(1)['img_path'] == str(root / 'image/origin/angry_actor_1.jpg')
    assert dataset.columns['box'][1].tolist() == [85, 20, 145, 80]


def test_landmarks_belong_to_a_face_and_count_inside_its_box(root):
    names = ExpW(str(root)).columns['name'].tolist()
    points = np.stack([draw(number % 7, number, 60)[1] for number in range(14)])
    np.savez(root / 'points.npz', names=names, points=points, score=np.ones(14))
    face = ExpW(str(root), landmarks='points.npz', pipeline=[dict(type='mmfer.LoadFace', size=30)])[3]
    np.testing.assert_allclose(face['landmarks'], (points[3] + 0.5) / 2 - 0.5, atol=1e-4)


def test_blanks_in_names_and_boxes_beyond_the_image(root):
    (root / 'image/origin/angry_actor_1.jpg').rename(root / 'image/origin/angry actor 1.jpg')
    relist(root, 'angry actor 1.jpg 0 -5 -7 70 95 22.5 3')
    face = ExpW(str(root), pipeline=[dict(type='mmfer.LoadFace')])[0]
    assert face['img'].shape == (90, 70, 3)


def test_a_label_file_out_of_any_editor(root):
    before, path = ExpW(str(root)).fingerprint(), root / 'label/label.lst'
    text = path.read_text().replace(' ', '\t').replace('\n', '\r\n') + '\r\n'
    for encoding in ('utf-8-sig', 'utf-16'):
        path.write_bytes(text.encode(encoding))
        assert ExpW(str(root)).fingerprint() == before


def test_a_box_outside_its_image_is_named(root):
    relist(root, 'angry_actor_1.jpg 0 100 0 50 120 22.5 3')
    with pytest.raises(
        ValueError,
        match=r'the box \[0, 100, 50, 120\] of a face lies outside .*angry_actor_1.jpg, '
        'which is 90 x 160; correct its row',
    ):
        ExpW(str(root), pipeline=[dict(type='mmfer.LoadFace')])[0]


@pytest.mark.parametrize(
    ('line', 'reason'),
    [
        ('angry_actor_1.jpg 0 20 10 70 80 22.5', '7 fields'),
        ('angry_actor_1.jpg 0 20 10 70 80 22.5 7', 'label 7 is not among 0-6'),
        ('angry_actor_1.jpg 0 20 10 70 80 22.5 -1', 'label -1 is not among 0-6'),
        ('angry_actor_1.jpg 0 20 10 x 80 22.5 1', 'must be whole numbers'),
        ('angry_actor_1.jpg 0 20 10 99999999999999999999 80 22.5 1', 'must be whole numbers'),
        ('angry_actor_1.jpg 0 20 70 10 80 22.5 1', 'the box is empty: top 20, left 70, right 10, bottom 80'),
        ('angry_actor_1.jpg 0 20 -70 -10 80 22.5 1', 'the box is empty'),
        ('../angry_actor_1.jpg 0 20 10 70 80 22.5 1', 'the path leaves the data folder'),
        ('/tmp/angry_actor_1.jpg 0 20 10 70 80 22.5 1', 'the path leaves the data folder'),
        ('angry_actor_1.jpg 1 20 10 70 80 22.5 1', 'the image is listed twice, first in line 1'),
    ],
)
def test_bad_lines(root, line, reason):
    relist(root, 'angry_actor_1.jpg 1 20 10 70 80 22.5 1', '', line)
    with pytest.raises(ValueError, match=rf"has 1 bad line; expected 'name.jpg 0 28 .*\n.*label.lst:3: .*{reason}"):
        ExpW(str(root))


def test_images_are_in_either_folder(root):
    before = ExpW(str(root)).fingerprint()
    for image in (root / 'image/origin').iterdir():
        image.rename(root / 'image' / image.name)
    (root / 'image/origin').rmdir()
    assert ExpW(str(root)).fingerprint() == before


def test_val_comes_from_the_holdout_only(root):
    with pytest.raises(ValueError, match='ExpW has no validation split of its own'):
        ExpW(str(root), split='val')
    assert len(ExpW(str(root), split='val', holdout=dict(fraction=0.5))) == 7
