import re

import numpy as np
import pytest
from layouts import LAYOUTS
from miniature import make_rafdb
from mmpretrain.registry import DATASETS

from mmfer.datasets import RAFDB, ProgressiveSampler, collate_faces
from mmfer.engine.checks.held_out import check_apart

PIPELINE = [dict(type='mmfer.LoadFace', size=20), dict(type='mmfer.PackFace')]


@pytest.fixture
def parts(tmp_path):
    roots = [make_rafdb(tmp_path / name, per_class=count, size=24, seed=count) for name, count in (('a', 2), ('b', 3))]
    return [
        dict(type='mmfer.RAFDB', data_root=roots[0], landmarks='landmarks68.npz', pipeline=PIPELINE),
        dict(type='mmfer.RAFDB', data_root=roots[1], pipeline=PIPELINE),
    ]


def build(parts):
    return DATASETS.build(dict(type='mmfer.ConcatFaces', datasets=parts))


def test_indices_are_unique_and_lead_back(parts):
    both = build(parts)
    first, second = (DATASETS.build(part) for part in parts)
    assert len(both) == 14 + 21
    assert both.get_gt_labels().tolist() == [*first.get_gt_labels(), *second.get_gt_labels()]
    batch = collate_faces([both[i] for i in range(len(both))])['data_samples']
    assert batch.sample_idx.tolist() == list(range(35))
    assert batch.label.tolist() == both.get_gt_labels().tolist()
    assert batch.metainfo[14]['img_path'] == second.get_data_info(0)['img_path']
    assert batch.landmark_valid.tolist() == [True] * 14 + [False] * 21
    assert both.get_data_info(-1)['sample_idx'] == 34
    assert both.has_landmarks


def test_sampler_and_memory_can_use_it(parts):
    both = build(parts)
    sampler = ProgressiveSampler(both, max_epochs=2, seed=0)
    assert sorted(sampler) == list(range(35))
    assert both.fingerprint() == build(parts).fingerprint()
    assert both.fingerprint() != build(parts[::-1]).fingerprint()


def test_clean_labels_are_known_where_a_part_knows_them(parts):
    noise = dict(label_noise=dict(kind='symmetric', rate=0.5, seed=0))
    both = build([parts[0], dict(parts[1], **noise)])
    assert both.get_clean_labels().tolist() == [*[-1] * 14, *build([parts[1]]).get_gt_labels()]
    assert (both.get_gt_labels() != both.get_clean_labels())[14:].any()


def test_a_face_that_is_held_out_may_not_be_trained_on_within_several_datasets(parts):
    holdout = dict(holdout=dict(fraction=0.5, seed=0))

    val = dict(val_dataloader=build([dict(parts[0], split='val', **holdout)]))
    check_apart(build([dict(parts[0], **holdout), parts[1]]), val)
    with pytest.raises(ValueError, match=r"7 of the 7 faces .* the same holdout=\{'fraction': 0.5, 'seed': 0\}"):
        check_apart(build(parts), val)


def test_classes_must_agree(parts):
    other = dict(parts[1], metainfo=dict(classes=RAFDB.METAINFO['classes'][::-1]))
    sentence = (
        'dataset 2 of ConcatFaces (RAFDB) does not match the first (RAFDB): it counts the classes neutral, anger, '
        'sadness, happiness, disgust, fear, surprise, and not surprise, fear, disgust, happiness, sadness, anger, '
        "neutral; let it map them by name, with metainfo=dict(classes='rafdb') in its config"
    )
    with pytest.raises(ValueError, match=re.escape(sentence)):
        build([parts[0], other])
    cured = build([parts[0], dict(other, metainfo=dict(classes='rafdb'))])
    assert np.array_equal(cured.get_gt_labels(), build(parts).get_gt_labels())
    same = build([dict(part, metainfo=dict(classes=list(RAFDB.METAINFO['classes'][::-1]))) for part in parts])
    assert np.array_equal(same.get_gt_labels(), 6 - build(parts).get_gt_labels())


def test_classes_that_are_known_from_files_only_must_agree_too(parts, tmp_path):
    """Folders say their classes when they are read, in alphabetical order."""
    face = next((tmp_path / 'a' / 'basic' / 'Image' / 'aligned').glob('train_*.jpg')).read_bytes()
    for name in RAFDB.METAINFO['classes']:
        (tmp_path / 'folders' / 'train' / name).mkdir(parents=True)
        (tmp_path / 'folders' / 'train' / name / 'a.jpg').write_bytes(face)
    folders = dict(type='mmfer.FolderFaces', data_root=str(tmp_path / 'folders'), pipeline=PIPELINE)
    for lazy in (False, True):
        with pytest.raises(ValueError, match='dataset 2 of ConcatFaces .FolderFaces. does not match the first .RAFDB.'):
            build([parts[0], dict(folders, lazy_init=lazy)])
    both = build([parts[0], dict(folders, metainfo=dict(classes='rafdb'))])
    names = RAFDB.METAINFO['classes']
    assert [names[label] for label in both.get_gt_labels()[14:]] == sorted(names)


def test_synonyms_agree(parts):
    names = ['Surprised', 'fearful', 'disgusted', 'happy', 'sad', 'angry', 'neutrality']
    both = build([parts[0], dict(parts[1], metainfo=dict(classes=names))])
    assert np.array_equal(both.get_gt_labels(), build(parts).get_gt_labels())


def test_a_batch_from_the_dataset_without_landmarks_has_the_columns_of_the_others(parts):
    both = build(parts)
    batch = collate_faces([both[i] for i in range(14, 18)])['data_samples']
    assert batch.landmarks.shape == (4, 68, 2)
    assert batch.landmark_valid.tolist() == [False] * 4
    assert collate_faces([both[0]])['data_samples'].landmark_valid.tolist() == [True]


def test_datasets_of_all_kinds_as_one(tmp_path):
    """Files, pixels of a csv, and parts of images; votes, landmarks and affect of some: one order, global indices."""
    formats = dict(AffectNet=['contempt'], FERPlus=['contempt'], ExpW=[], RAFDB=[], FolderFaces=[])
    parts = []
    for name, drop in formats.items():
        LAYOUTS[name](tmp_path / name, faces=2)
        reading = dict(reading='distribution') if name == 'FERPlus' else {}
        parts.append(
            dict(
                type=f'mmfer.{name}',
                data_root=str(tmp_path / name),
                pipeline=PIPELINE,
                drop_classes=drop,
                metainfo=dict(classes='rafdb'),
                **reading,
            )
        )
    both, alone = build(parts), [DATASETS.build(part) for part in parts]
    assert [len(dataset) for dataset in alone] == [14] * 5
    assert np.bincount(both.get_gt_labels()).tolist() == [10] * 7
    batch = collate_faces([both[i] for i in range(70)])
    faces = batch['data_samples']
    assert faces.sample_idx.tolist() == list(range(70))
    for i, dataset in enumerate(alone):
        for row in (0, 13):
            inputs = dataset[row]['inputs'].numpy()
            np.testing.assert_array_equal(batch['inputs'][14 * i + row].numpy(), inputs)
            assert faces.label[14 * i + row] == dataset.get_gt_labels()[row]
    assert faces.landmark_valid.tolist() == [True] * 14 + [False] * 56
    assert faces.valence[:14].isfinite().all()
    assert faces.valence[14:].isnan().all()
    assert faces.score.shape == (70, 7)
    one_hot = np.eye(7)[faces.label.numpy()]
    np.testing.assert_array_equal(faces.score[:14], one_hot[:14])
    np.testing.assert_array_equal(faces.score[28:], one_hot[28:])
    # A batch from one of them has the same columns as a batch from all.
    few = collate_faces([both[i] for i in range(30, 34)])['data_samples']
    assert few.columns().keys() == faces.columns().keys()
