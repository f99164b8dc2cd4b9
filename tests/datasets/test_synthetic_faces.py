"""Synthetic faces: the same everywhere, landmarks where the features are, labels that are what they say."""

import dataclasses
import subprocess
import sys
import threading
import zlib

import cv2
import numpy as np
import pytest

from mmfer.datasets import synthetic_faces
from mmfer.datasets.synthetic_faces import (
    CLASSES,
    UNITS,
    Capture,
    Person,
    SyntheticFaces,
    draw_face,
    mix_units,
    sample_capture,
    sample_distribution,
    sample_person,
)
from mmfer.datasets.synthetic_faces import __main__ as contact_sheet
from mmfer.datasets.synthetic_faces import cache as cache_module
from mmfer.datasets.synthetic_faces import dataset as dataset_module
from mmfer.datasets.synthetic_faces.action_units import PROTOTYPES
from mmfer.datasets.synthetic_faces.canvas import smooth
from mmfer.datasets.synthetic_faces.capture import OCCLUDERS
from mmfer.datasets.synthetic_faces.dataset import class_labels, draw_columns
from mmfer.registry import DATASETS
from mmfer.structures.landmark_sets import MIRROR_68

RECIPE = dict(split='train', num=24, size=32, seed=3, imbalance=0.5, blend=0.5, difficulty=1.0, faces_per_person=4)
POSES = {
    'frontal': Capture(),
    'turned': Capture(yaw=0.35, pitch=-0.1),
    'tilted': Capture(yaw=-0.25, pitch=0.15, roll=0.2, scale=0.9, shift=(0.03, -0.02)),
}


def units_of(**activations):
    return np.array([activations.get(name, 0.0) for name in UNITS])


def faces(**kwargs):
    dataset = SyntheticFaces(**{**dict(num=40, size=32, cache_dir=None), **kwargs})
    dataset.full_init()
    return dataset


def found(image, channel):
    """(x, y) of the pixels in which one colour channel stands out, as nothing else in these pictures does."""
    image = image.astype(int)
    others = np.delete(image, channel, axis=2).max(2)
    return np.argwhere((image[..., channel] > 60) & (image[..., channel] > 2 * others + 20))[:, ::-1]


def test_the_label_may_be_who_it_is():
    people, plain = faces(label='person', num=10, faces_per_person=4), faces(num=10, faces_per_person=4)
    assert people.get_gt_labels().tolist() == [0] * 4 + [1] * 4 + [2] * 2
    assert people.metainfo['classes'] == ('person 0', 'person 1', 'person 2')
    assert 'true_distribution' not in people.columns
    assert (people.columns['image'] == plain.columns['image']).all()
    assert people[9]['gt_label'] == 2
    with pytest.raises(ValueError, match="'expression' or 'person', got 'age'"):
        faces(label='age')


# ---------------------------------------------------------------- the same everywhere


def test_a_face_depends_on_seed_split_and_index_only():
    images, columns = draw_columns(**RECIPE)
    more_images, more_columns = draw_columns(**{**RECIPE, 'num': 30})
    np.testing.assert_array_equal(images, more_images[:24])
    for key, column in columns.items():
        np.testing.assert_array_equal(column, more_columns[key][:24], err_msg=key)


@pytest.mark.parametrize('change', [dict(seed=4), dict(split='test')])
def test_another_seed_or_split_is_another_draw(change):
    images, columns = draw_columns(**RECIPE)
    others, other_columns = draw_columns(**{**RECIPE, **change})
    assert not any((image == other).all() for image, other in zip(images, others, strict=True))
    assert not np.array_equal(columns['label'], other_columns['label'])


def test_one_face_alone_in_another_process_is_the_same():
    images, columns = draw_columns(**RECIPE)
    script = '\n'.join(
        (
            'import zlib, numpy as np',
            'from mmfer.datasets.synthetic_faces import *',
            f'label, identity = {columns["label"][17]}, {columns["identity"][17]}',
            'rng = np.random.default_rng((3, 0, 0, 17))',
            'units = mix_units(sample_distribution(label, .5, rng), rng)',
            'image, landmarks = draw_face(sample_person(3, identity), units, sample_capture(rng), 32)',
            'print(zlib.crc32(image), zlib.crc32(landmarks))',
        )
    )
    printed = subprocess.run([sys.executable, '-c', script], capture_output=True, text=True, check=True).stdout.split()
    assert printed[-2:] == [str(zlib.crc32(images[17])), str(zlib.crc32(columns['landmarks'][17]))]


# ---------------------------------------------------------------- landmarks lie on what is drawn


@pytest.mark.parametrize('pose', POSES)
@pytest.mark.parametrize('expression', CLASSES)
def test_lips_painted_green_are_found_at_their_landmarks(pose, expression):
    person = Person(lips=(0, 255, 0), hair_style='bald')
    image, points = draw_face(person, PROTOTYPES[CLASSES.index(expression)][0], POSES[pose], 128)
    lips, mouth = found(image, 1), points[48:60]
    assert len(lips) > 30
    np.testing.assert_allclose(lips.min(0), mouth.min(0), atol=2)
    np.testing.assert_allclose(lips.max(0), mouth.max(0), atol=2)


@pytest.mark.parametrize('pose', POSES)
def test_brows_painted_red_are_found_at_their_landmarks(pose):
    for activations in (dict(), dict(inner_brow_raise=1, outer_brow_raise=1), dict(brow_lower=1)):
        person = Person(brow=(0, 0, 255), skin=(200, 200, 200), lips=(90, 90, 90), hair_style='bald', iris=(60, 60, 60))
        image, points = draw_face(person, units_of(**activations), POSES[pose], 128)
        brows = found(image, 2)
        for landmarks in (points[17:22], points[22:27]):
            distance = np.linalg.norm(brows[:, None] - landmarks, axis=2)
            assert distance.min(0).max() < 2, 'every brow landmark has brow pixels beside it'
        distance = np.linalg.norm(brows[:, None] - np.vstack([smooth(points[17:22]), smooth(points[22:27])]), axis=2)
        # The lash line takes a dark tone of the brow's colour; it is not meant.
        eyes = np.linalg.norm(brows[:, None] - points[36:48], axis=2).min(1)
        assert distance.min(1)[eyes > 8].max() < 5, 'no brow pixel is far from the brow landmarks'


@pytest.mark.parametrize('pose', POSES)
@pytest.mark.parametrize('lids', [0.0, 1.0])
def test_irises_painted_blue_are_found_between_the_eye_landmarks(pose, lids):
    person = Person(iris=(255, 0, 0), hair_style='bald', skin=(110, 130, 150), lips=(90, 90, 150))
    image, points = draw_face(person, units_of(lid_raise=lids), dataclasses.replace(POSES[pose], seed=1), 128)
    irises = found(image, 0)
    for eye in (points[36:42], points[42:48]):
        near = irises[np.linalg.norm(irises - eye.mean(0), axis=1) < 12]
        assert len(near) >= 5
        assert cv2.pointPolygonTest(eye, near.mean(0).astype(float).tolist(), False) > 0


@pytest.mark.parametrize('pose', POSES)
def test_the_jaw_line_parts_skin_from_background(pose):
    person = Person(skin=(0, 220, 0), hair_style='bald')
    image, points = draw_face(person, units_of(), POSES[pose], 128)
    skin = np.zeros((128, 128), bool)
    skin[tuple(found(image, 1).T[::-1])] = True
    for index in (3, 4, 12, 13):
        inwards = points[30] - points[index]
        inwards /= np.linalg.norm(inwards)
        inside, outside = points[index] + 3 * inwards, points[index] - 3 * inwards
        assert skin[round(float(inside[1])), round(float(inside[0]))]
        assert not skin[round(float(outside[1])), round(float(outside[0]))]


def test_a_face_without_asymmetry_mirrors_onto_itself_in_ibug_order():
    for prototypes in PROTOTYPES:
        _, points = draw_face(Person(), prototypes[0], Capture(), 100)
        mirrored = points[MIRROR_68] * (-1, 1) + (99, 0)
        np.testing.assert_allclose(mirrored, points, atol=1e-3)


def test_landmarks_scale_with_the_picture():
    capture = Capture(yaw=0.2, shift=(0.02, 0))
    small = draw_face(Person(), units_of(jaw_drop=1), capture, 64)[1]
    large = draw_face(Person(), units_of(jaw_drop=1), capture, 192)[1]
    np.testing.assert_allclose((small + 0.5) * 3 - 0.5, large, atol=1e-2)


def test_landmarks_of_everyday_faces_are_in_the_picture_and_the_same_behind_occluders():
    points = faces(num=100, size=64).columns['landmarks']
    inner = points[:, 17:]
    assert ((inner > -0.5) & (inner < 63.5)).all()
    assert ((points > -0.5) & (points < 63.5)).all(2).mean() > 0.97, 'a dropped jaw may leave the picture, little else'
    plain, marks = draw_face(Person(), units_of(), Capture(seed=5), 64)
    for occluder in OCCLUDERS:
        image, behind = draw_face(Person(), units_of(), Capture(seed=5, occluder=occluder), 64)
        np.testing.assert_array_equal(behind, marks)
        assert (np.abs(image.astype(int) - plain).max(2) > 25).mean() > 0.01, occluder


# ---------------------------------------------------------------- action units do what they are called


def heights(points):
    """Distances that expressions change, in pixels; up is positive."""
    return dict(
        inner_brow=points[[39, 42], 1].mean() - points[[21, 22], 1].mean(),
        outer_brow=points[[36, 45], 1].mean() - points[[18, 25], 1].mean(),
        brow_gap=points[22, 0] - points[21, 0],
        eye=points[[40, 41, 46, 47], 1].mean() - points[[37, 38, 43, 44], 1].mean(),
        corner=points[[51, 57], 1].mean() - points[[48, 54], 1].mean(),
        lips=points[66, 1] - points[62, 1],
        width=points[54, 0] - points[48, 0],
        chin=points[8, 1] - points[33, 1],
        red=(points[57, 1] - points[51, 1]) - (points[66, 1] - points[62, 1]),
        snarl=points[33, 1] - points[51, 1],
    )


@pytest.mark.parametrize(
    ('unit', 'measure', 'sign'),
    [
        ('inner_brow_raise', 'inner_brow', 1),
        ('outer_brow_raise', 'outer_brow', 1),
        ('brow_lower', 'inner_brow', -1),
        ('brow_lower', 'brow_gap', -1),
        ('lid_raise', 'eye', 1),
        ('lid_tighten', 'eye', -1),
        ('cheek_raise', 'eye', -1),
        ('eyes_close', 'eye', -1),
        ('corner_pull', 'corner', 1),
        ('corner_pull', 'width', 1),
        ('corner_depress', 'corner', -1),
        ('lip_stretch', 'width', 1),
        ('jaw_drop', 'lips', 1),
        ('jaw_drop', 'chin', 1),
        ('lips_part', 'lips', 1),
        ('lip_press', 'red', -1),
        ('upper_lip_raise', 'snarl', 1),
    ],
)
def test_action_units_move_their_landmarks(unit, measure, sign):
    at = [heights(draw_face(Person(), units_of(**{unit: x}), Capture(), 100)[1])[measure] for x in (0, 0.5, 1)]
    assert sign * (at[1] - at[0]) > 0.3
    assert sign * (at[2] - at[1]) > 0.3


def test_the_drawn_mouth_opens_with_its_landmarks():
    person = Person(lips=(0, 255, 0))
    gaps = []
    for jaw in (0, 0.5, 1):
        image, points = draw_face(person, units_of(lips_part=0.5, jaw_drop=jaw), Capture(), 128)
        lips = found(image, 1)
        column = np.sort(lips[lips[:, 0] == round(float(points[62, 0])), 1])
        gaps.append((np.diff(column).max(), points[66, 1] - points[62, 1]))
    drawn, marked = np.array(gaps).T
    assert (np.diff(drawn) > 3).all()
    np.testing.assert_allclose(drawn, marked, atol=3)


def test_expressions_can_be_told_from_the_landmarks_of_other_people():
    """A least-squares classifier on pose-free landmarks; and everyday faces are harder than textbook ones."""
    accuracy = {}
    for difficulty in (0.0, 1.0):
        sets = []
        for split, num in (('train', 500), ('test', 150)):
            _, columns = draw_columns(
                **{
                    **RECIPE,
                    'split': split,
                    'num': num,
                    'size': 16,
                    'imbalance': 0.0,
                    'blend': 0.3 * difficulty,
                    'difficulty': difficulty,
                }
            )
            x = columns['landmarks'] - columns['landmarks'].mean(1, keepdims=True)
            sets.append((np.hstack([x.reshape(num, -1), np.ones((num, 1))]), columns['label']))
        (x, y), (x_test, y_test) = sets
        weights = np.linalg.solve(x.T @ x + 1e-2 * np.eye(x.shape[1]), x.T @ np.eye(7)[y])
        accuracy[difficulty] = ((x_test @ weights).argmax(1) == y_test).mean()
    assert accuracy[0.0] > 0.9
    assert 0.55 < accuracy[1.0] < accuracy[0.0] - 0.05


# ---------------------------------------------------------------- labels, blends, people


def test_blends_sum_to_one_and_their_argmax_is_the_label():
    columns = faces(num=300, size=16, blend=0.4).columns
    distribution = columns['true_distribution']
    assert distribution.dtype == np.float32
    assert distribution.shape == (300, 7)
    np.testing.assert_allclose(distribution.sum(1), 1, atol=1e-6)
    np.testing.assert_array_equal(distribution.argmax(1), columns['label'])
    parts = (distribution > 0).sum(1)
    assert set(parts.tolist()) == {1, 2}
    assert 0.3 < (parts == 2).mean() < 0.5
    winners = distribution.max(1)[parts == 2]
    assert winners.min() >= 0.55 - 1e-6
    assert winners.max() <= 0.9 + 1e-6


@pytest.mark.parametrize(('blend', 'parts'), [(0.0, 1), (1.0, 2)])
def test_no_blends_and_only_blends(blend, parts):
    rng = np.random.default_rng(0)
    for label in range(7):
        assert (sample_distribution(label, blend, rng) > 0).sum() == parts


def test_units_of_a_blend_lie_between_its_parts_where_nothing_is_random():
    rng = np.random.default_rng(0)
    shares = np.zeros(7)
    shares[[CLASSES.index('happiness'), CLASSES.index('surprise')]] = 0.7, 0.3
    units = mix_units(shares, rng, difficulty=0)
    expected = 0.7 * PROTOTYPES[CLASSES.index('happiness')][0] + 0.3 * PROTOTYPES[CLASSES.index('surprise')][0]
    np.testing.assert_allclose(units, expected)


def test_people_of_train_val_and_test_are_disjoint():
    holdout = dict(fraction=0.25, seed=0)
    people = [
        set(faces(num=96, size=16, split=split, **kwargs).columns['identity'].tolist())
        for split, kwargs in (('train', dict(holdout=holdout)), ('val', dict(holdout=holdout)), ('test', {}))
    ]
    assert all(people)
    assert not people[0] & people[1]
    assert not (people[0] | people[1]) & people[2]
    assert len(people[0] | people[1]) == 96 // 8


def test_different_identities_are_different_people_and_equal_ones_the_same():
    assert sample_person(0, 5) == sample_person(0, 5)
    np.testing.assert_array_equal(sample_person(0, 5).gain, sample_person(0, 5).gain)
    crowd = [sample_person(0, identity) for identity in range(300)]
    assert len(set(crowd)) == 300
    assert {person.hair_style for person in crowd} == set(synthetic_faces.person.HAIR_STYLES)
    assert {person.glasses for person in crowd} == {'', 'round', 'square', 'sun'}
    assert 10 < sum(person.beard > 0 for person in crowd) < 100


@pytest.mark.parametrize('split', ['train', 'test'])
def test_class_frequencies_are_rafdbs_to_a_power(split):
    rafdb = np.array([1290, 281, 717, 4772, 1982, 705, 2524])
    for imbalance in (0, 0.5, 1):
        wanted = rafdb**imbalance / (rafdb**imbalance).sum()
        labels = class_labels(3000, imbalance, seed=0, split=split)
        for num in (70, 500, 3000):
            counts = np.bincount(labels[:num], minlength=7)
            assert np.abs(counts - num * wanted).max() <= 3, (imbalance, num)


def test_label_noise_changes_labels_and_nothing_else():
    clean, noisy = faces(num=200, size=16), faces(num=200, size=16, label_noise=dict(kind='symmetric', rate=0.3))
    np.testing.assert_array_equal(noisy.columns['clean_label'], clean.columns['label'])
    np.testing.assert_array_equal(noisy.columns['true_distribution'], clean.columns['true_distribution'])
    np.testing.assert_array_equal(noisy.columns['image'], clean.columns['image'])
    assert 0.2 < (noisy.columns['label'] != clean.columns['label']).mean() < 0.4


def test_another_order_of_classes_reorders_the_distribution():
    classes = ('happiness', 'anger', 'neutral', 'fear', 'sadness', 'surprise', 'disgust')
    ours, theirs = faces(num=80, size=16).columns, faces(num=80, size=16, metainfo=dict(classes=classes)).columns
    np.testing.assert_array_equal(theirs['true_distribution'].argmax(1), theirs['label'])
    np.testing.assert_array_equal(
        theirs['true_distribution'], ours['true_distribution'][:, [CLASSES.index(name) for name in classes]]
    )
    six = faces(num=80, size=16, metainfo=dict(classes=CLASSES[:6]), drop_classes=('neutral',)).columns
    assert len(six['label']) == (ours['label'] != 6).sum()
    np.testing.assert_allclose(six['true_distribution'].sum(1), 1, atol=1e-6)
    np.testing.assert_array_equal(six['true_distribution'].argmax(1), six['label'])


# ---------------------------------------------------------------- pictures


def test_difficulty_brings_grey_occluded_and_noisy_pictures():
    shots = [sample_capture(np.random.default_rng(index)) for index in range(400)]
    assert {shot.occluder for shot in shots} == {'', *OCCLUDERS}
    assert 0.2 < np.mean([shot.grey for shot in shots]) < 0.4
    assert max(abs(shot.yaw) for shot in shots) > 0.35
    easy = [sample_capture(np.random.default_rng(index), difficulty=0) for index in range(50)]
    for shot in easy:
        assert dataclasses.replace(shot, seed=0) == Capture(gain=1.0)
    image, _ = draw_face(Person(), units_of(), Capture(grey=True, noise=8), 48)
    assert (image == image[..., :1]).all()


def test_pictures_are_neither_black_nor_white():
    images = faces(num=200, size=48).columns['image']
    assert images.dtype == np.uint8
    means = images.mean((1, 2, 3))
    assert means.min() > 15
    assert means.max() < 235
    assert 80 < means.mean() < 160
    assert images.std((1, 2, 3)).min() > 8


def test_the_contact_sheet_is_written(tmp_path, monkeypatch, capsys):
    out = tmp_path / 'faces.png'
    monkeypatch.setattr(sys, 'argv', ['synthetic_faces', str(out)])
    contact_sheet.main()
    assert str(out) in capsys.readouterr().out
    sheet = cv2.imread(str(out))
    assert min(sheet.shape[:2]) > 800
    monkeypatch.setattr(sys, 'argv', ['synthetic_faces', str(tmp_path / 'no such folder' / 'faces.png')])
    with pytest.raises(SystemExit, match='no such folder'):
        contact_sheet.main()


# ---------------------------------------------------------------- the cache


@pytest.fixture
def warnings_logged(monkeypatch):
    texts = []
    monkeypatch.setattr(cache_module, 'print_log', lambda text, **_: texts.append(text))
    return texts


def test_faces_are_drawn_once(tmp_path, monkeypatch, warnings_logged):
    drawn = faces(cache_dir=str(tmp_path)).columns
    assert sorted(path.suffix for path in tmp_path.iterdir()) == ['.npy', '.npz'], 'and no temporary files'

    def fail(**_):
        raise AssertionError('drawn twice')

    monkeypatch.setattr(dataset_module, 'draw_columns', fail)
    read = faces(cache_dir=str(tmp_path)).columns
    assert read.keys() == drawn.keys()
    for key, column in drawn.items():
        np.testing.assert_array_equal(read[key], column, err_msg=key)
        assert read[key].dtype == column.dtype
    assert isinstance(read['image'].base, np.memmap) or isinstance(read['image'].base.base, np.memmap)
    assert not warnings_logged
    for change in (
        dict(seed=1),
        dict(split='test'),
        dict(size=33),
        dict(num=41),
        dict(blend=0.1),
        dict(difficulty=0.5),
        dict(imbalance=1.0),
        dict(faces_per_person=2),
    ):
        with pytest.raises(AssertionError, match='drawn twice'):
            faces(cache_dir=str(tmp_path), **change)


def test_noise_and_holdout_share_the_drawn_faces(tmp_path, monkeypatch):
    faces(cache_dir=str(tmp_path))
    monkeypatch.setattr(dataset_module, 'draw_columns', None)
    assert len(faces(cache_dir=str(tmp_path), label_noise=dict(kind='symmetric', rate=0.3))) == 40
    assert len(faces(cache_dir=str(tmp_path), split='val', holdout=dict(fraction=0.2))) < 40


@pytest.mark.parametrize(
    'damage',
    ['cut pictures', 'changed pixel', 'no pictures', 'cut columns', 'empty columns', 'other version', 'not an archive'],
)
def test_a_damaged_cache_is_drawn_again_with_a_warning(tmp_path, monkeypatch, warnings_logged, damage):
    whole = faces(cache_dir=str(tmp_path)).columns['image'].copy()
    images, columns = next(tmp_path.glob('*.npy')), next(tmp_path.glob('*.npz'))
    content = {path: bytearray(path.read_bytes()) for path in (images, columns)}
    if damage == 'cut pictures':
        images.write_bytes(content[images][:-100])
    elif damage == 'changed pixel':
        content[images][-1] ^= 1
        images.write_bytes(content[images])
    elif damage == 'no pictures':
        images.unlink()
    elif damage == 'cut columns':
        columns.write_bytes(content[columns][:-100])
    elif damage == 'empty columns':
        columns.write_bytes(b'')
    elif damage == 'other version':
        np.savez(columns, label=np.zeros(40))
    else:
        columns.write_bytes(b'no archive at all')
    np.testing.assert_array_equal(faces(cache_dir=str(tmp_path)).columns['image'], whole)
    assert len(warnings_logged) == 1
    assert 'damaged' in warnings_logged[0]
    monkeypatch.setattr(dataset_module, 'draw_columns', None)
    np.testing.assert_array_equal(faces(cache_dir=str(tmp_path)).columns['image'], whole)


def test_two_at_a_time_may_draw_the_same_faces(tmp_path):
    both_drawing = threading.Barrier(2, timeout=20)

    def draw():
        both_drawing.wait()
        return draw_columns(**RECIPE)

    results = {}

    def run(rank):
        results[rank] = cache_module.cached(str(tmp_path), RECIPE, draw)

    ranks = [threading.Thread(target=run, args=(rank,)) for rank in range(2)]
    for rank in ranks:
        rank.start()
    for rank in ranks:
        rank.join()
    expected = draw_columns(**RECIPE)[0]
    for rank in range(2):
        np.testing.assert_array_equal(results[rank][0], expected)
    assert len(list(tmp_path.iterdir())) == 2


def test_a_folder_that_cannot_be_written_is_no_obstacle(tmp_path, warnings_logged):
    occupied = tmp_path / 'file'
    occupied.write_text('not a folder')
    assert len(faces(cache_dir=str(occupied))) == 40
    assert len(warnings_logged) == 1
    assert 'cache_dir' in warnings_logged[0]


# ---------------------------------------------------------------- as a dataset


def test_builds_from_a_config_and_runs_through_the_pipeline(tmp_path):
    dataset = DATASETS.build(
        dict(
            type='mmfer.SyntheticFaces',
            num=20,
            size=32,
            cache_dir=str(tmp_path),
            pipeline=[dict(type='mmfer.LoadFace'), dict(type='mmfer.PackFace')],
        )
    )
    assert dataset.has_landmarks
    assert dataset.metainfo['classes'] == CLASSES
    assert len(set(dataset.columns['name'].tolist())) == 20
    packed = dataset[7]
    np.testing.assert_array_equal(packed['inputs'].permute(1, 2, 0).numpy(), dataset.columns['image'][7])
    sample = packed['data_samples']
    assert int(sample.gt_label) == dataset.columns['label'][7]
    np.testing.assert_array_equal(sample.landmarks.numpy(), dataset.columns['landmarks'][7])
    assert bool(sample.landmark_valid)


@pytest.mark.parametrize(
    ('wrong', 'message'),
    [
        (dict(num=0), 'num .* 0'),
        (dict(size=8), 'size .* 8'),
        (dict(seed=-1), 'seed .* -1'),
        (dict(num=2.5), 'num .* 2.5'),
        (dict(blend=1.5), 'blend .* 1.5'),
        (dict(imbalance=-1), 'imbalance .* -1'),
        (dict(difficulty=9), 'difficulty .* 9'),
        (dict(faces_per_person=0), 'faces_per_person .* 0'),
        (dict(split='val'), 'holdout'),
        (dict(split='dev'), 'dev'),
    ],
)
def test_wrong_arguments_are_named(wrong, message):
    with pytest.raises(ValueError, match=message):
        SyntheticFaces(**wrong)
