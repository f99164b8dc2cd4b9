import hashlib
import pickle
from typing import ClassVar

import numpy as np
import pytest
import torch
from miniature import make_rafdb
from mmengine.dataset import ClassBalancedDataset
from mmengine.registry import init_default_scope
from mmengine.runner import Runner

from mmfer.datasets import RAFDB, FaceDataset, PackFace
from mmfer.datasets.labels.schema import ORDERS
from mmfer.structures.face_batch import FaceBatch


class InMemory(FaceDataset):
    """Pictures and all else in memory."""

    METAINFO: ClassVar[dict] = dict(classes=ORDERS['affectnet8'])
    EXTRA: ClassVar[dict] = {}

    def load_columns(self):
        label = np.arange(80) % 8
        return dict(
            name=np.array([f'{self.source_split}{i}' for i in range(80)]),
            label=label,
            image=np.repeat(label, 12).astype(np.uint8).reshape(80, 2, 2, 3),
            **self.EXTRA,
        )


def with_columns(**extra):
    return type('With', (InMemory,), dict(EXTRA=extra))


def test_pictures_in_memory_need_no_files():
    dataset = InMemory()
    info = dataset.get_data_info(13)
    assert (info['img'] == 5).all()
    assert (info['img_path'], info['gt_label'], info['sample_idx']) == ('train13', 5, 13)
    assert not dataset.has_landmarks
    assert dataset.get_data_info(-1)['sample_idx'] == 79
    with pytest.raises(IndexError):
        dataset.get_data_info(80)


def test_points_count_where_they_were_found_and_are_numbers():
    points = np.ones((80, 68, 2), np.float32)
    points[3, 5, 1], score = np.nan, np.ones(80, np.float32)
    score[7] = 0
    dataset = with_columns(landmarks=points, landmark_score=score)()
    assert np.flatnonzero(~dataset.columns['landmark_valid']).tolist() == [3, 7]
    assert [dataset.get_data_info(i)['landmark_valid'] for i in (2, 3, 7)] == [True, False, False]
    dataset.get_data_info(2)['landmarks'][:] = 9  # a transform may write into what it gets
    assert (dataset.columns['landmarks'][2] == 1).all()


def test_votes_and_clean_labels_travel():
    score = np.eye(8, dtype=np.float32)[np.arange(80) % 8]
    info = with_columns(score=score, clean_label=np.full(80, 4))().get_data_info(9)
    assert info['gt_score'].tolist() == [0, 1, 0, 0, 0, 0, 0, 0]
    assert info['clean_label'] == 4


def test_labels_follow_the_order_that_is_asked_for():
    wanted = ('Happy', 'sad', 'anger', 'neutral', 'fear', 'disgust', 'surprise')
    dataset = InMemory(metainfo=dict(classes=list(wanted)), drop_classes=['contempt'])
    assert dataset.metainfo['classes'] == wanted
    assert len(dataset) == 70
    assert wanted[dataset.get_data_info(1)['gt_label']] == 'Happy'
    assert (dataset.get_data_info(1)['img'] == 1).all()
    with pytest.raises(ValueError, match='contempt .* dropped silently'):
        InMemory(metainfo=dict(classes=wanted))


def test_an_order_by_its_name():
    dataset = InMemory(metainfo=dict(classes='ferplus'))
    assert dataset.metainfo['classes'] == ORDERS['ferplus']
    assert ORDERS['ferplus'][dataset.get_data_info(5)['gt_label']] == ORDERS['affectnet8'][5]
    with pytest.raises(ValueError, match="classes='fer' is no known order"):
        InMemory(metainfo=dict(classes='fer'))


def test_names_are_compact_strings_and_the_fingerprint_is_of_all_of_them():
    """More names than are hashed at once; the expected hash is of everything in one piece."""
    names, label = [f'grün {i}.jpg' for i in range(250_003)], np.arange(250_003) % 8
    many = type(
        'Many',
        (InMemory,),
        dict(
            load_columns=lambda self: dict(
                name=np.array(names), label=label, image=np.broadcast_to(np.uint8(0), (len(names), 1, 1, 3))
            )
        ),
    )()
    assert many.columns['name'].dtype == np.dtypes.StringDType()
    assert type(many.get_data_info(3)['img_path']) is str
    expected = hashlib.sha256('\n'.join(names).encode() + b'\0' + label.astype('<i8').tobytes())
    assert many.fingerprint() == expected.hexdigest()


def test_valence_and_arousal_travel(tmp_path):
    valence = np.linspace(-1, 1, 80, dtype=np.float32)
    valence[7] = np.nan
    dataset = with_columns(valence=valence, arousal=-valence)(pipeline=[dict(type='mmfer.PackFace')])
    assert dataset.get_data_info(3)['valence'] == valence[3]
    samples = [PackFace()(dict(dataset.get_data_info(i))) for i in (3, 7)]
    batch = FaceBatch.from_data_samples(sample['data_samples'] for sample in samples)
    np.testing.assert_array_equal(batch.valence, valence[[3, 7]])
    np.testing.assert_array_equal(batch.arousal, -valence[[3, 7]])


def test_a_format_without_a_test_split():
    none = type('NoTest', (InMemory,), dict(SPLITS=('train', 'val')))
    with pytest.raises(ValueError, match=r"NoTest has no test split with public labels; give split='val', or"):
        none(split='test')


def test_train_and_val_share_the_training_rows():
    whole = InMemory()
    train, val = (InMemory(split=split, holdout=dict(fraction=0.2, seed=3)) for split in ('train', 'val'))
    names = [set(dataset.columns['name'].tolist()) for dataset in (train, val, whole)]
    assert names[0] | names[1] == names[2]
    assert not names[0] & names[1]
    assert np.bincount(val.get_gt_labels()).tolist() == [2] * 8
    assert len(InMemory(split='test', holdout=dict(fraction=0.2))) == 80


def test_val_without_holdout_says_how():
    with pytest.raises(ValueError, match=r'InMemory has no validation split.*holdout=dict\(fraction=\.1, seed=0\)'):
        InMemory(split='val')
    own = type('OwnVal', (InMemory,), dict(SPLITS=('train', 'val')))
    assert own(split='val').columns['name'][0] == 'val0'
    assert own(split='val', holdout=dict(fraction=0.5)).columns['name'][0].startswith('train')
    assert (
        len(own(split='train', holdout=dict(fraction=0.5))) == len(own(split='val', holdout=dict(fraction=0.5))) == 40
    )


def test_noise_is_for_training_rows_and_does_not_depend_on_the_holdout():
    noise = dict(kind='symmetric', rate=0.3, seed=1)
    noisy = InMemory(label_noise=noise)
    changed = noisy.columns['label'] != noisy.columns['clean_label']
    assert 10 < changed.sum() < 40
    assert np.array_equal(noisy.columns['clean_label'], InMemory().get_gt_labels())
    info = noisy.get_data_info(int(np.flatnonzero(changed)[0]))
    assert info['gt_label'] != info['clean_label']
    part = InMemory(label_noise=noise, holdout=dict(fraction=0.2))
    of_name = dict(zip(noisy.columns['name'].tolist(), noisy.columns['label'].tolist(), strict=True))
    assert [of_name[name] for name in part.columns['name'].tolist()] == part.get_gt_labels().tolist()
    clean = InMemory(split='val', holdout=dict(fraction=0.2))
    assert 'clean_label' not in clean.columns
    assert not set(clean.columns['name'].tolist()) & set(part.columns['name'].tolist())
    for split in ('val', 'test'):
        with pytest.raises(ValueError, match=f"label_noise is for split='train' only, got split='{split}'"):
            InMemory(split=split, holdout=dict(fraction=0.2), label_noise=noise)


def test_the_summary_counts_the_faces_of_each_class_and_tells_the_realised_rate():
    dataset = InMemory(label_noise=dict(kind='symmetric', rate=0.3))
    rate = (dataset.columns['label'] != dataset.columns['clean_label']).mean()
    summary = dataset.summary()
    assert summary.startswith('InMemory train: 80 faces (')
    for name, count in zip(dataset.metainfo['classes'], np.bincount(dataset.columns['label']), strict=True):
        assert f'{name} {count}' in summary
    assert f"'rate': 0.3}}, realised rate {rate:.4f}" in summary


def test_the_fingerprint_is_of_names_and_observed_labels():
    def fingerprint(**kwargs):
        return InMemory(**kwargs).fingerprint()

    assert fingerprint() == fingerprint()
    noise = [dict(kind='symmetric', rate=rate, seed=seed) for rate, seed in ((0, 0), (0.3, 0), (0.3, 1))]
    assert fingerprint(label_noise=noise[0]) == fingerprint()
    different = [
        fingerprint(),
        *(fingerprint(label_noise=n) for n in noise[1:]),
        fingerprint(split='test'),
        fingerprint(indices=79),
        fingerprint(holdout=dict(fraction=0.2)),
    ]
    assert len(set(different)) == len(different)


def test_the_fingerprint_is_taken_once_and_anew_of_other_columns(monkeypatch):
    dataset = InMemory()
    first, part = dataset.fingerprint(), dataset.get_subset(79)
    assert part.fingerprint() == InMemory(indices=79).fingerprint() != first
    dataset.columns['label'] = dataset.columns['label'][::-1].copy()
    assert dataset.fingerprint() != first
    monkeypatch.setattr(hashlib, 'sha256', None)
    assert dataset.fingerprint() == dataset.fingerprint()


def test_parts_of_a_dataset():
    assert InMemory(indices=3).columns['name'].tolist() == ['train0', 'train1', 'train2']
    assert InMemory(indices=-2).columns['name'].tolist() == ['train78', 'train79']
    dataset = InMemory(indices=[5, 2])
    assert [dataset.get_data_info(i)['img_path'] for i in range(2)] == ['train5', 'train2']
    whole = InMemory()
    part = whole.get_subset([7, 8, 9])
    assert (len(part), len(whole)) == (3, 80)
    assert part.get_data_info(1)['sample_idx'] == 1
    whole.get_subset_(10)
    assert len(whole) == 10
    with pytest.raises(ValueError, match=r"no face for split='train'.*indices=0"):
        InMemory(indices=0)


def test_lazy_until_asked():
    calls = []

    class Counted(InMemory):
        def load_columns(self):
            calls.append(1)
            return super().load_columns()

    dataset = Counted(lazy_init=True)
    assert not calls
    assert 'initialized' in repr(dataset)
    assert len(dataset) == 80
    assert dataset.get_gt_labels().dtype == np.int64
    dataset.full_init()
    assert len(calls) == 1
    assert '80' in repr(dataset)


def test_labels_given_out_are_copies():
    dataset = InMemory()
    dataset.get_gt_labels()[:] = 0
    assert dataset.get_gt_labels()[3] == 3


def test_an_unknown_split_and_a_missing_method():
    with pytest.raises(ValueError, match="'train', 'val' or 'test', got 'valid'"):
        InMemory(split='valid')
    with pytest.raises(NotImplementedError, match=r'FaceDataset must implement load_columns\(\)'):
        FaceDataset()


def test_mmengines_wrapper_reads_its_categories():
    assert InMemory().get_cat_ids(11) == [3]
    balanced = ClassBalancedDataset(InMemory(indices=[0, 0, 0, 0, 0, 0, 0, 1]), oversample_thr=0.5)
    assert len(balanced) == 9


def test_survives_pickling():
    dataset = InMemory()
    again = pickle.loads(pickle.dumps(dataset))
    assert again.fingerprint() == dataset.fingerprint()


@pytest.mark.parametrize('workers', [0, 2])
def test_a_loader_built_by_mmengine(tmp_path, workers):
    """Names in the config only, workers included; what arrives is what lies on disk."""
    root = make_rafdb(tmp_path / 'raf-db', per_class=2, size=32)
    init_default_scope('mmpretrain')
    loader = Runner.build_dataloader(
        dict(
            batch_size=4,
            num_workers=workers,
            persistent_workers=workers > 0,
            dataset=dict(
                type='mmfer.RAFDB',
                data_root=root,
                landmarks='landmarks68.npz',
                label_noise=dict(kind='symmetric', rate=0.5),
                pipeline=[dict(type='mmfer.LoadFace', size=24), dict(type='mmfer.PackFace')],
            ),
            sampler=dict(type='mmfer.ProgressiveSampler', max_epochs=3),
            collate_fn=dict(type='mmfer.collate_faces'),
        ),
        seed=0,
    )
    dataset = loader.dataset
    assert isinstance(dataset, RAFDB)
    seen = []
    for batch in loader:
        samples = batch['data_samples']
        assert batch['inputs'].dtype == torch.uint8
        assert batch['inputs'].shape[1:] == (3, 24, 24)
        rows = samples.sample_idx.numpy()
        seen += rows.tolist()
        assert np.array_equal(samples.label.numpy(), dataset.columns['label'][rows])
        assert np.array_equal(samples.clean_label.numpy(), dataset.columns['clean_label'][rows])
        assert [face.img_path for face in samples] == [dataset.get_data_info(row)['img_path'] for row in rows]
        moved = (dataset.columns['landmarks'][rows] + 0.5) * 24 / 32 - 0.5
        np.testing.assert_allclose(samples.landmarks.numpy(), moved, rtol=1e-6, atol=1e-5)
        assert samples.landmark_valid.all()
    assert len(seen) == 14
