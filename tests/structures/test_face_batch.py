import pickle

import pytest
import torch
from mmengine.evaluator import Evaluator
from mmpretrain.evaluation import Accuracy
from mmpretrain.models.heads import LinearClsHead
from mmpretrain.structures import DataSample

from mmfer.structures.face_batch import FaceBatch


def sample(index, label=1, **fields):
    meta = {key: fields.pop(key) for key in ('img_path', 'clean_label') if key in fields}
    result = DataSample(metainfo=dict(sample_idx=index, **meta)).set_gt_label(label)
    for key, value in fields.items():
        setattr(result, key, value)
    return result


def test_stacks_columns_and_gives_the_samples_back():
    points = torch.arange(2 * 68 * 2, dtype=torch.float32).reshape(2, 68, 2)
    votes = torch.tensor([[0.25, 0.75, 0], [0, 0.5, 0.5]])
    samples = [
        sample(
            7 + i,
            label=i + 1,
            img_path=f'{i}.jpg',
            clean_label=i,
            landmarks=points[i],
            gt_score=votes[i],
            landmark_valid=torch.tensor(i == 1),
        )
        for i in range(2)
    ]
    batch = FaceBatch.from_data_samples(samples)
    assert len(batch) == 2
    assert batch.label.tolist() == [1, 2]
    assert batch.label.dtype == batch.sample_idx.dtype == batch.clean_label.dtype == torch.int64
    assert batch.sample_idx.tolist() == [7, 8]
    assert batch.clean_label.tolist() == [0, 1]
    assert batch.landmark_valid.tolist() == [False, True]
    assert batch.metainfo == [{'img_path': '0.jpg'}, {'img_path': '1.jpg'}]
    for before, after in zip(samples, batch, strict=True):
        assert isinstance(after, DataSample)
        assert set(after.keys()) == {'gt_label', 'gt_score', 'landmarks', 'landmark_valid'}
        assert set(after.metainfo_keys()) == {'img_path', 'sample_idx', 'clean_label', 'num_classes'}
        assert (after.sample_idx, after.clean_label, after.img_path) == (
            before.sample_idx,
            before.clean_label,
            before.img_path,
        )
        assert torch.equal(after.gt_label, before.gt_label)
        assert torch.equal(after.landmarks, before.landmarks)
        assert torch.equal(after.gt_score, before.gt_score)
        assert bool(after.landmark_valid) == bool(before.landmark_valid)


def test_what_no_face_has_is_absent():
    batch = FaceBatch.from_data_samples([sample(0), sample(1)])
    assert set(batch.columns()) == {'label', 'sample_idx'}
    assert set(batch[0].keys()) == {'gt_label'}
    assert 'clean_label' not in batch[0]


def test_what_only_some_faces_have_is_filled_with_unknown():
    full = sample(0, label=0, landmarks=torch.ones(68, 2), gt_score=torch.tensor([0.5, 0.25, 0.25]), clean_label=2)
    batch = FaceBatch.from_data_samples([sample(1, label=2), full])
    assert batch.landmark_valid.tolist() == [False, True]
    assert batch.landmarks[0].abs().sum() == 0
    assert batch.score.tolist() == [[0, 0, 1], [0.5, 0.25, 0.25]]
    assert batch.clean_label.tolist() == [-1, 2]
    assert 'clean_label' not in batch[0]
    assert batch[1].clean_label == 2


@pytest.mark.parametrize(
    ('broken', 'name'),
    [
        (DataSample(metainfo=dict(sample_idx=3)), 'gt_label'),
        (DataSample().set_gt_label(1), 'sample_idx'),
    ],
)
def test_a_sample_without_label_or_index_is_refused(broken, name):
    with pytest.raises(ValueError, match=rf'data sample 1 has no {name}.*PackFace'):
        FaceBatch.from_data_samples([sample(0), broken])


def test_columns_of_other_length_are_refused():
    with pytest.raises(ValueError, match='landmark_valid has 3 rows but there are 2 labels'):
        FaceBatch(torch.zeros(2).long(), torch.arange(2), landmark_valid=torch.ones(3).bool())
    with pytest.raises(ValueError, match='metainfo has 1 entries for 2 labels'):
        FaceBatch(torch.zeros(2).long(), torch.arange(2), metainfo=[{}])


def test_slices_to_devices_and_through_pickles():
    batch = FaceBatch(
        torch.tensor([3, 1, 2]),
        torch.tensor([10, 11, 12]),
        landmarks=torch.rand(3, 68, 2),
        landmark_valid=torch.tensor([True, False, True]),
        metainfo=[{'img_path': name} for name in 'abc'],
    )
    part = batch[1:]
    assert isinstance(part, FaceBatch)
    assert (part.label.tolist(), part.sample_idx.tolist()) == ([1, 2], [11, 12])
    assert [face.img_path for face in part] == ['b', 'c']
    moved = batch.to('meta')
    assert all(column.device.type == 'meta' for column in moved.columns().values())
    assert moved.metainfo == batch.metainfo
    assert batch.label.device.type == 'cpu'
    again = pickle.loads(pickle.dumps(batch))
    assert torch.equal(again.landmarks, batch.landmarks)
    assert again.metainfo == batch.metainfo
    assert batch[-1].sample_idx == 12
    with pytest.raises(IndexError):
        batch[3]


def test_going_through_it_gives_what_its_indices_give():
    batch = FaceBatch(torch.tensor([1, 0]), torch.tensor([7, 3]), clean_label=torch.tensor([-1, 2]))
    for one, other in zip(batch, [batch[0], batch[1]], strict=True):
        assert dict(one.metainfo_items()) == dict(other.metainfo_items())
        assert one.gt_label.tolist() == other.gt_label.tolist()
    assert 'clean_label' not in next(iter(batch))


def test_stock_head_and_metric_take_it_for_a_list():
    batch = FaceBatch(torch.tensor([0, 1, 1]), torch.arange(3))
    head = LinearClsHead(num_classes=2, in_channels=2)
    with torch.no_grad():
        head.fc.weight.copy_(torch.eye(2))
        head.fc.bias.zero_()
    feats = (torch.tensor([[5.0, 0], [0, 5.0], [5.0, 0]]),)
    as_list = head.loss(feats, list(batch))['loss']
    assert torch.equal(head.loss(feats, batch)['loss'], as_list)
    evaluator = Evaluator(Accuracy())
    evaluator.process(head.predict(feats, batch))
    assert evaluator.evaluate(3)['accuracy/top1'] == pytest.approx(200 / 3)
