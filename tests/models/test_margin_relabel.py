"""MarginRelabel with its real bank: whose label moves, when it counts, and what it publishes."""

import pytest
import torch
from torch.testing import assert_close

from mmfer.models.supervision.refiners import MarginRelabel
from mmfer.structures import SampleBank

LABELS = [1, 1, 0, 2]
FIRST = 9
"""Trace epoch, counted from 0, of the tenth, which is the first that relabels by default."""


class Memory:
    """A refiner, its bank, and steps that are committed as the hook commits them."""

    def __init__(self, labels=LABELS, classes=3, **options):
        self.refiner, self.bank = MarginRelabel(**options), SampleBank()
        self.bank.declare(self.refiner.bank_columns(), 'here')
        self.bank.allocate(torch.tensor(labels), classes)
        self.shown = {}

    def step(self, probs, sample_idx=None, epoch=FIRST, importance=None, target=None, commit=True):
        probs = torch.tensor(probs)
        sample_idx = torch.arange(len(probs)) if sample_idx is None else torch.tensor(sample_idx)
        importance = torch.full((len(probs),), 0.5) if importance is None else torch.tensor(importance)
        target = self.bank.labels[sample_idx] if target is None else target
        self.shown = {}
        published = self.refiner(
            logits=probs.log() + 3,
            target=target,
            sample_idx=sample_idx,
            epoch=epoch,
            bank=self.bank,
            importance=importance[:, None],
            log=lambda **figures: self.shown.update(figures),
        )
        if commit:
            self.bank.commit()
        assert set(published) == {'target'}
        return published['target']

    @property
    def labels(self):
        return self.bank.column('relabelled').tolist()


# --- the margin (the method page's numbers) ---


@pytest.mark.parametrize(
    ('probs', 'new'),
    [
        ([0.5, 0.35, 0.15], 1),
        ([0.6, 0.3, 0.1], 0),
        ([0.5, 0.3, 0.2], 1),
        ([0.55, 0.35, 0.1], 1),
        ([0.3, 0.4, 0.3], 1),
        ([0.1, 0.2, 0.7], 2),
        ([0.503, 0.3, 0.197], 0),
    ],
    ids=['less', 'more', 'exactly', 'exactly, rounded', 'predicted already', 'third', 'barely more'],
)
def test_the_margin_must_be_exceeded(probs, new):
    memory = Memory(labels=[1], scope='all')
    memory.step([probs])
    assert memory.labels == [new]


@pytest.mark.parametrize('margin', [0.1, 0.2, 0.3, 0.5])
def test_a_difference_of_exactly_the_margin_keeps_the_label_however_it_is_rounded(margin):
    peaks = torch.linspace(0.34, 0.9, 57, dtype=torch.float64)
    probs = torch.stack([peaks, peaks - margin, 1 - 2 * peaks + margin], 1)
    probs = probs[(probs[:, 1:] > 0).all(1) & (probs[:, 2] < probs[:, 0])].float()
    assert len(probs) > 5
    memory = Memory(labels=[1] * len(probs), scope='all', margin=margin)
    memory.step(probs.tolist())
    assert memory.labels == [1] * len(probs)


def test_the_difference_is_to_the_label_in_use_not_to_the_observed_one():
    memory = Memory(labels=[1], scope='all')
    memory.step([[0.7, 0.2, 0.1]])
    memory.step([[0.45, 0.05, 0.5]])  # .45 more than the observed class, .05 more than the class in use
    assert memory.labels == [0]
    memory.step([[0.25, 0.05, 0.7]])
    assert memory.labels == [2]
    memory.step([[0.1, 0.8, 0.1]])  # back to where it came from
    assert memory.labels == [1]


# --- when ---


def test_a_new_label_counts_from_the_next_visit():
    memory, sure = Memory(labels=[1, 1], scope='all'), [[0.8, 0.1, 0.1], [0.1, 0.8, 0.1]]
    assert memory.step(sure, commit=False).tolist() == [1, 1]
    assert memory.labels == [1, 1]
    memory.bank.commit()
    assert memory.labels == [0, 1]
    assert memory.step([[0.4, 0.3, 0.3]] * 2).tolist() == [0, 1]
    assert memory.bank.labels.tolist() == [1, 1]


@pytest.mark.parametrize('start', [1, 3, 10])
def test_it_starts_in_the_epoch_counted_from_one(start):
    memory = Memory(labels=[1], scope='all', start_epoch=start)
    for epoch in range(start - 1):
        memory.step([[0.9, 0.05, 0.05]], epoch=epoch)
        assert memory.labels == [1]
        assert memory.shown == {}
    memory.step([[0.9, 0.05, 0.05]], epoch=start - 1)
    assert memory.labels == [0]


def test_labels_stay_also_where_no_epoch_relabels():
    """A run that is resumed with a later start keeps what it has learnt."""
    memory = Memory(labels=[1], scope='all')
    memory.step([[0.9, 0.05, 0.05]])
    assert memory.step([[0.1, 0.8, 0.1]], epoch=0).tolist() == [0]
    assert memory.labels == [0]


# --- who ---


def test_only_the_less_important_group_is_relabelled_unless_told_otherwise():
    sure, importance = [[0.98, 0.01, 0.01]] * 10, [0.9, 0.1, 0.8, 0.7, 0.2, 0.6, 0.5, 0.95, 0.3, 0.85]
    low = [1, 4, 8]  # the other seven are the high group
    memory = Memory(labels=[1] * 10)
    memory.step(sure, importance=importance)
    assert [i for i, label in enumerate(memory.labels) if label == 0] == low
    assert memory.shown['newly_relabelled'].item() == pytest.approx(0.3)
    memory = Memory(labels=[1] * 10, ratio=0.5)
    memory.step(sure, importance=importance)
    assert memory.labels.count(0) == 5
    memory = Memory(labels=[1] * 10, scope='all')
    memory.step(sure, importance=importance)
    assert memory.labels == [0] * 10


def test_faces_that_are_not_in_the_batch_keep_their_labels():
    memory = Memory(scope='all')
    memory.step([[0.1, 0.1, 0.8]], sample_idx=[2])
    assert memory.labels == [1, 1, 2, 2]


# --- what is published ---


def test_label_ids_are_replaced_where_the_label_in_use_is_another():
    memory = Memory(labels=[1, 1, 0], scope='all')
    memory.step([[0.9, 0.05, 0.05]], sample_idx=[1])
    earlier = torch.tensor([2, 2, 2])  # what an earlier refiner says
    target = memory.step([[0.3, 0.4, 0.3]] * 3, epoch=0, target=earlier)
    assert target.tolist() == [2, 0, 2]
    assert target.dtype == torch.int64
    assert earlier.tolist() == [2, 2, 2]


def test_rows_of_distributions_are_replaced_by_the_label_in_use():
    memory = Memory(labels=[1, 1, 0], scope='all')
    memory.step([[0.9, 0.05, 0.05]], sample_idx=[1])
    votes = torch.tensor([[0.1, 0.6, 0.3], [0.2, 0.5, 0.3], [0.7, 0.2, 0.1]], requires_grad=True)
    target = memory.step([[0.3, 0.4, 0.3]] * 3, epoch=0, target=votes)
    assert_close(target.detach(), torch.tensor([[0.1, 0.6, 0.3], [1.0, 0.0, 0.0], [0.7, 0.2, 0.1]]), rtol=0, atol=0)
    target.sum().backward()  # what an earlier part has learnt to say goes on learning
    assert votes.grad.tolist() == [[1.0] * 3, [0.0] * 3, [1.0] * 3]


def test_nothing_flows_back_into_the_predictions():
    memory = Memory(labels=[1], scope='all')
    logits = torch.tensor([[3.0, 0.0, 0.0]], requires_grad=True)
    importance = torch.tensor([[0.5]], requires_grad=True)
    target = memory.refiner(logits, torch.tensor([1]), torch.tensor([0]), FIRST, memory.bank, importance, lambda **_: 0)
    memory.bank.commit()
    assert not target['target'].requires_grad
    assert memory.labels == [0]


# --- the importance ---


def test_importances_are_remembered_from_the_first_epoch_on():
    memory = Memory()
    assert memory.bank.column('importance').tolist() == [1.0] * 4
    memory.step([[0.3, 0.4, 0.3]] * 3, sample_idx=[0, 2, 0], epoch=0, importance=[0.2, 0.7, 0.4])
    assert_close(memory.bank.column('importance'), torch.tensor([0.3, 1.0, 0.7, 1.0]))  # two views: their mean


def test_views_of_one_face_that_disagree_take_the_smallest_class():
    for order in ([0, 1], [1, 0]):
        memory, views = Memory(labels=[2], scope='all'), [[0.7, 0.2, 0.1], [0.1, 0.8, 0.1]]
        memory.step([views[i] for i in order], sample_idx=[0, 0])
        assert memory.labels == [0]


# --- users' mistakes ---


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        (dict(margin=1.0), 'margin must lie in .0, 1., got 1.0'),
        (dict(start_epoch=0), 'start_epoch is counted from 1, got 0'),
        (dict(scope='high'), "scope must be 'low' .* or 'all' .*, got 'high'"),
        (dict(ratio=1.0), 'ratio must lie between 0 and 1, got 1.0'),
    ],
)
def test_settings_that_make_no_sense_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        MarginRelabel(**options)
