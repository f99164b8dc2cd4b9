"""DrawnLabelsHook: a label from the votes, anew in each epoch, as a function of seed, epoch and face."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from layouts import OTHER_LAYOUTS
from mmpretrain.structures import DataSample
from torch.testing import assert_close

from mmfer.datasets import ConcatFaces, FERPlus
from mmfer.engine.hooks import DrawnLabelsHook
from mmfer.engine.hooks.drawn_labels import draw_labels
from mmfer.registry import HOOKS
from mmfer.structures import FaceBatch

PIPELINE = [dict(type='mmfer.LoadFace', size=48), dict(type='mmfer.PackFace')]


@pytest.fixture(scope='module')
def root(tmp_path_factory):
    folder = tmp_path_factory.mktemp('ferplus')
    OTHER_LAYOUTS['FERPlus'](folder, faces=5)
    path = folder / 'FER2013Train/label.csv'
    path.write_text(path.read_text().replace(',9,', ',6,').replace(',1,', ',4,'))  # two labels that both may be
    return folder


def runner_of(dataset, epoch=0, seed=0):
    return SimpleNamespace(seed=seed, epoch=epoch, train_dataloader=SimpleNamespace(dataset=dataset))


def batch_of(dataset, rows):
    return FaceBatch.from_data_samples(dataset[int(i)]['data_samples'] for i in rows)


def drawn(dataset, rows, epoch=0, seed=0, hook=None):
    """The labels of some faces, as class ids."""
    hook, runner = hook or DrawnLabelsHook(), runner_of(dataset, epoch, seed)
    hook.before_train(runner)
    data = dict(data_samples=batch_of(dataset, rows))
    hook.before_train_iter(runner, 0, data)
    score = data['data_samples'].score
    assert set(score.unique().tolist()) == {0, 1}
    assert (score.sum(1) == 1).all()
    return score.argmax(1)


@pytest.fixture(scope='module')
def faces(root):
    dataset = FERPlus(str(root), reading='probability', pipeline=PIPELINE)
    assert len(dataset) == 40
    assert (dataset.columns['score'] > 0).sum(1).tolist() == [2] * 40
    return dataset


def test_over_the_epochs_each_label_is_drawn_as_often_as_its_share():
    shares = torch.tensor([[0.6, 0.0, 0.4], [0.0, 1.0, 0.0], [1 / 3, 1 / 3, 1 / 3], [0.0, 0.25, 0.75]])
    generator = np.random.default_rng(0)
    many = 20_000
    labels = sum(draw_labels(shares, torch.from_numpy(generator.random(4))) for _ in range(many)) / many
    assert_close(labels, shares, rtol=0, atol=4 * 0.5 / many**0.5)
    assert not labels[shares == 0].any()


def test_a_face_gets_its_shares_over_the_epochs_and_not_the_same_labels_as_its_neighbour(faces):
    hook = DrawnLabelsHook()
    labels = torch.stack([drawn(faces, range(40), epoch, hook=hook) for epoch in range(300)])
    often = torch.stack([(labels == k).double().mean(0) for k in range(8)], 1)
    assert_close(often.float(), torch.from_numpy(faces.columns['score']), rtol=0, atol=4.5 * 0.5 / 300**0.5)
    rare = (labels != torch.from_numpy(faces.get_gt_labels())).double()
    assert torch.corrcoef(rare.T).fill_diagonal_(0).abs().max() < 4.5 / 300**0.5


@pytest.mark.parametrize('draw', [0.0, 1 - 2**-53])
def test_a_draw_at_either_end_falls_on_a_class_that_has_votes(draw):
    shares = torch.tensor([[0.0, 0.1, 0.2, 0.7, 0.0], [0.0, 1 / 3, 1 / 3, 1 / 3, 0.0]])
    label = draw_labels(shares, torch.full((2,), draw, dtype=torch.float64))
    assert label.argmax(1).tolist() == [1, 1] if draw == 0 else [3, 3]


def test_labels_are_those_of_seed_epoch_and_face_whatever_the_batch(faces):
    whole = drawn(faces, range(40), epoch=3, seed=5)
    order = np.random.default_rng(1).permutation(40)
    one_process = torch.cat([drawn(faces, rows, epoch=3, seed=5) for rows in np.split(order, 5)])
    two_processes = torch.cat([drawn(faces, order[rank::2], epoch=3, seed=5) for rank in range(2)])
    assert one_process.tolist() == whole[order].tolist()
    assert two_processes.tolist() == whole[np.concatenate([order[0::2], order[1::2]])].tolist()
    assert drawn(faces, range(40), epoch=4, seed=5).tolist() != whole.tolist()
    assert drawn(faces, range(40), epoch=3, seed=6).tolist() != whole.tolist()


def test_a_list_of_samples_gets_the_same_labels(faces):
    hook, runner = DrawnLabelsHook(), runner_of(faces)
    hook.before_train(runner)
    samples = [faces[i]['data_samples'] for i in range(8)]
    assert isinstance(samples[0], DataSample)
    data = dict(data_samples=samples)
    hook.before_train_iter(runner, 0, data)
    assert data['data_samples'].score.argmax(1).tolist() == drawn(faces, range(8)).tolist()


def test_the_observed_label_and_the_data_set_stay_as_they_are(faces):
    before, observed = faces.columns['score'].copy(), faces.get_gt_labels()
    hook, runner = DrawnLabelsHook(), runner_of(faces)
    hook.before_train(runner)
    data = dict(data_samples=batch_of(faces, range(40)))
    hook.before_train_iter(runner, 0, data)
    assert data['data_samples'].label.tolist() == observed.tolist()
    np.testing.assert_array_equal(faces.columns['score'], before)


def test_images_in_one_array_are_read_at_once_and_drawn_alike(faces, root):
    at_once = FERPlus(str(root), reading='probability', pipeline=PIPELINE)
    images = np.stack([at_once[i]['inputs'].permute(1, 2, 0).numpy() for i in range(40)])
    at_once.columns = {**at_once.columns, 'image': images}
    hook, runner = DrawnLabelsHook(), runner_of(at_once)
    hook.before_train(runner)
    data = dict(data_samples=at_once.__getitems__(range(40)).data_samples)
    hook.before_train_iter(runner, 0, data)
    assert data['data_samples'].score.argmax(1).tolist() == drawn(faces, range(40)).tolist()
    assert (at_once.columns['score'] > 0).sum(1).tolist() == [2] * 40


def test_of_several_data_sets_only_the_labels_of_that_one_are_drawn(faces, root):
    shares = FERPlus(str(root), split='test', reading='distribution', pipeline=PIPELINE)
    both = ConcatFaces([shares, faces])
    hook, runner = DrawnLabelsHook(), runner_of(both)
    hook.before_train(runner)
    data = dict(data_samples=batch_of(both, [1, len(shares) + 1]))
    kept = data['data_samples'].score[0].clone()
    hook.before_train_iter(runner, 0, data)
    assert_close(data['data_samples'].score[0], kept, rtol=0, atol=0)
    assert data['data_samples'].score[1].max() == 1


def test_added_noise_takes_the_votes_out_and_nothing_is_drawn(root):
    noisy = FERPlus(str(root), reading='probability', label_noise=dict(kind='symmetric', rate=0.5), pipeline=PIPELINE)
    hook, runner = DrawnLabelsHook(), runner_of(noisy)
    hook.before_train(runner)
    data = dict(data_samples=batch_of(noisy, range(8)))
    hook.before_train_iter(runner, 0, data)
    assert data['data_samples'].score is None


def test_it_is_registered_and_acts_in_training_alone():
    hook = HOOKS.build(dict(type='mmfer.DrawnLabelsHook'))
    assert set(hook.get_triggered_stages()) == {'before_train', 'before_train_iter'}
