"""Reliability weights with their real bank: ranks within classes, epochs, resuming."""

import math

import pytest
import torch
from torch.testing import assert_close

from mmfer.models.supervision.refiners import ReliabilityWeights
from mmfer.models.supervision.refiners.reliability_weights import class_thresholds
from mmfer.structures import SampleBank

SURE, CLASSES = 8.0, 3


class Log(dict):
    def __call__(self, **figures):
        self.update(figures)


def make(labels, instability=None, **options):
    refiner, bank = ReliabilityWeights(**options), SampleBank()
    bank.declare(refiner.bank_columns(), 'reliability')
    bank.allocate(labels, CLASSES)
    if instability is not None:
        bank.column('instability').copy_(instability)
    return refiner, bank


def logits_for(classes):
    return SURE * torch.nn.functional.one_hot(classes, CLASSES).float()


def run(refiner, bank, idx, first, second=None, epoch=5, weight=None, log=None, target=None):
    label = bank.labels[idx]
    target = label if target is None else target
    weight = torch.ones(len(idx)) if weight is None else weight
    log = Log() if log is None else log
    return refiner(first, first if second is None else second, label, target, weight, idx, epoch, bank, log)['weight']


# --- instability ---


def test_instability_is_a_running_mean_of_the_divergence_as_a_share_of_ln_2():
    refiner, bank = make(torch.tensor([0, 1, 2]), torch.tensor([0.5, 0.0, 0.0]))
    one, other = torch.tensor([[0.0, 0, -99]] * 3), torch.tensor([[0.0, 1, -99], [0, 0, -99], [-99, -99, 99]])
    log = Log()
    run(refiner, bank, torch.arange(3), one, other, epoch=0, log=log)
    assert bank.read('instability', torch.arange(3)).tolist() == [0.5, 0, 0]  # staged only
    bank.commit()
    expected = torch.tensor([0.9 * 0.5 + 0.1 * 0.028535 / math.log(2), 0.0, 0.1])  # the last two have nothing in common
    assert_close(bank.read('instability', torch.arange(3)), expected, rtol=1e-4, atol=1e-6)
    assert_close(log['instability'], expected.mean(), rtol=1e-4, atol=1e-6)


# --- who is unreliable ---


def test_unstable_and_disputed_faces_lose_weight_and_no_others():
    labels = torch.tensor([0] * 10 + [1] * 20)
    instability = torch.cat([torch.linspace(0.01, 0.1, 10), torch.linspace(0.2, 0.58, 20)])
    refiner, bank = make(labels, instability)
    wrong, log = (labels + 1) % CLASSES, Log()
    idx = torch.randperm(30)
    weight = run(refiner, bank, idx, logits_for(wrong[idx]), log=log)
    given = torch.ones(30)
    given[9] = math.exp(-0.9 * 0.1 / 0.1)  # the largest of ten, though below all of the other class
    given[[28, 29]] = 0.1  # two of twenty
    assert_close(weight, given[idx], rtol=1e-5, atol=0)
    assert_close(log['unreliable'], torch.tensor(3 / 30))
    bank.commit()
    assert_close(bank.column('reliability'), given, rtol=1e-5, atol=0)


def test_an_unstable_face_whose_label_is_confirmed_keeps_its_weight():
    labels = torch.tensor([0, 0, 0, 1])
    refiner, bank = make(labels, torch.tensor([0.1, 0.2, 0.9, 0.5]), fraction=0.3)
    idx, mixed = torch.tensor([2]), torch.tensor([[0.0, 1.0, 0.0]])
    # One prediction is for another class, but their mean is for the label.
    assert run(refiner, bank, idx, mixed, torch.tensor([[SURE, 0, 0]])).tolist() == [1]
    assert run(refiner, bank, idx, mixed, torch.tensor([[1.0, 3, 0]])).item() == pytest.approx(0.1)


@pytest.mark.parametrize('form', ['class ids', 'distributions'])
def test_a_face_whose_label_another_method_has_mended_keeps_its_weight(form):
    refiner, bank = make(torch.zeros(4).long(), torch.tensor([0.1, 0.2, 0.3, 0.9]))
    predicted, mended = logits_for(torch.tensor([1])), torch.tensor([1])
    if form == 'distributions':
        mended = torch.tensor([[0.2, 0.7, 0.1]])
    assert run(refiner, bank, torch.tensor([3]), predicted, target=mended).tolist() == [1]
    assert run(refiner, bank, torch.tensor([3]), predicted).item() == pytest.approx(0.1)


def test_nobody_is_unreliable_before_the_warm_up_is_over():
    labels = torch.zeros(10).long()
    refiner, bank = make(labels, torch.linspace(0.1, 1, 10), warmup=2)
    other = logits_for(torch.ones(10).long())
    assert run(refiner, bank, torch.arange(10), other, epoch=1).tolist() == [1] * 10
    assert run(refiner, bank, torch.arange(10), other, epoch=2).min() == pytest.approx(0.1)


def test_what_has_never_been_unstable_is_reliable():
    refiner, bank = make(torch.zeros(10).long())
    log = Log()
    weight = run(refiner, bank, torch.arange(10), logits_for(torch.ones(10).long()), log=log)
    assert weight.tolist() == [1] * 10
    assert log['unreliable'] == 0


def test_weights_of_earlier_refiners_are_amended():
    labels = torch.zeros(4).long()
    refiner, bank = make(labels, torch.tensor([0.1, 0.2, 0.3, 0.9]))
    before = torch.tensor([0.5, 2.0, 0.0, 0.5])
    weight = run(refiner, bank, torch.arange(4), logits_for(torch.ones(4).long()), weight=before)
    assert_close(weight, torch.tensor([0.5, 2.0, 0.0, 0.05]))
    bank.commit()
    assert_close(bank.column('reliability'), torch.tensor([1, 1, 1, 0.1]))  # ours alone


def test_it_gives_no_gradient():
    refiner, bank = make(torch.zeros(4).long(), torch.rand(4))
    first, second = torch.randn(2, 4, 3, requires_grad=True)
    assert not run(refiner, bank, torch.arange(4), first, second).requires_grad


# --- thresholds ---


def by_hand(values, labels, fraction):
    found = []
    for k in range(CLASSES):
        mine = sorted(values[labels == k].tolist(), reverse=True)
        large = max(1, math.floor(fraction * len(mine) + 0.5))
        found.append(mine[large - 1] if mine and mine[large - 1] > 0 else math.inf)
    return torch.tensor(found)


@pytest.mark.parametrize('fraction', [0.01, 0.1, 0.25, 0.5, 1.0])
@pytest.mark.parametrize('seed', range(4))
def test_thresholds_are_those_counted_by_hand(fraction, seed):
    torch.manual_seed(seed)
    labels = torch.randint(0, CLASSES, (17 + 20 * seed,))
    values = torch.rand(len(labels)).round(decimals=1 + seed)  # ties
    assert_close(class_thresholds(values, labels, fraction, CLASSES), by_hand(values, labels, fraction))
    order = torch.randperm(len(labels))
    assert_close(class_thresholds(values[order], labels[order], fraction, CLASSES), by_hand(values, labels, fraction))


def test_a_class_without_faces_or_instability_has_no_threshold():
    thresholds = class_thresholds(torch.tensor([0.3, 0.0]), torch.tensor([0, 2]), 0.5, CLASSES)
    assert_close(thresholds, torch.tensor([0.3, math.inf, math.inf]))


def test_thresholds_hold_for_an_epoch_and_are_drawn_anew_in_the_next():
    labels = torch.zeros(10).long()
    refiner, bank = make(labels, torch.linspace(0.1, 1, 10))
    other, idx = logits_for(torch.ones(10).long()), torch.arange(10)

    def unreliable(epoch):
        return (run(refiner, bank, idx, other, epoch=epoch) < 1).nonzero().flatten().tolist()

    assert unreliable(5) == [9]
    bank._staged.clear()
    bank.column('instability').copy_(torch.linspace(2, 1.1, 10))  # all beyond the threshold of this epoch
    assert unreliable(5) == list(range(10))
    bank._staged.clear()
    assert unreliable(6) == [0]


def test_a_resumed_epoch_has_the_thresholds_of_an_uninterrupted_one():
    labels, instability = torch.arange(30) % CLASSES, torch.rand(30)
    refiner, bank = make(labels, instability)
    torch.manual_seed(1)
    steps = [(epoch, torch.randperm(30)[:15], torch.randn(15, 3), torch.randn(15, 3)) for epoch in (5, 5, 6, 6)]

    def go(refiner, bank, steps):
        weights = []
        for epoch, idx, first, second in steps:
            weights.append(run(refiner, bank, idx, first, second, epoch))
            bank.commit()
        return weights

    whole = go(refiner, bank, steps[:2])
    state = {'fingerprint': '', 'columns': {k: v.clone() for k, v in bank.state_dict()['columns'].items()}}
    whole += go(refiner, bank, steps[2:])
    assert not refiner.state_dict()
    resumed, other = make(labels)
    other.load_state_dict(state)
    for mine, theirs in zip(go(resumed, other, steps[2:]), whole[2:], strict=True):
        assert torch.equal(mine, theirs)
    assert min(weight.min() for weight in whole[2:]) < 1


@pytest.mark.parametrize(
    ('options', 'sentence'),
    [
        (dict(momentum=1.0), r'momentum must lie in \[0, 1\), got 1.0'),
        (dict(fraction=10), r'fraction must lie in \(0, 1\], got 10'),
        (dict(fraction=0), r'fraction must lie in \(0, 1\], got 0'),
        (dict(floor=-0.1), r'floor must lie in \[0, 1\], got -0.1'),
        (dict(temperature=0), 'temperature must be positive, got 0'),
    ],
)
def test_nonsense_is_refused(options, sentence):
    with pytest.raises(ValueError, match=sentence):
        ReliabilityWeights(**options)
