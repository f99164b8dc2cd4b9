"""LDE with its real bank, against the numbers of the method page and the dense formulas."""

import pytest
import torch
import torch.nn.functional as F
from tiny import CE, classifier, lanet
from torch.testing import assert_close

from mmfer.functional import distribution_kl
from mmfer.models.supervision.refiners import LabelDistributionEstimation
from mmfer.models.supervision.refiners.label_distribution_estimation import NeighbourScore
from mmfer.structures import SampleBank

# The page's example: features padded with zeros to four numbers, the least that a score net takes.
U = F.pad(torch.tensor([[1, 0], [1, 0.1], [0, 1], [0.1, 1]]), (0, 2))
V = F.pad(torch.tensor([[1, 0], [0, 1], [1, 0.1], [0.1, 1]]), (0, 2))
PROBS = torch.tensor([[0.9, 0.1], [0.8, 0.2], [0.4, 0.6], [0.3, 0.7]])
LABELS = torch.tensor([0, 0, 1, 1])


def make_lde(labels=LABELS, classes=2, constant=False, dim=4, **options):
    lde, bank = LabelDistributionEstimation((dim, dim), **options), SampleBank()
    if constant:
        for net in (lde.expression_score, lde.landmark_score):
            torch.nn.init.zeros_(net.score[-1].weight)
            torch.nn.init.zeros_(net.score[-1].bias)
    bank.declare(lde.bank_columns(), 'lde')
    bank.allocate(labels, classes)
    return lde, bank


def random_batch(rows, seed=0, dim=4, dtype=torch.float32):
    generator = torch.Generator().manual_seed(seed)
    u, v = torch.randn(2, rows, dim, generator=generator, dtype=dtype)
    return u, v, torch.randn(rows, 3, generator=generator, dtype=dtype)


# --- the method page ---


def test_four_samples_give_the_distributions_of_the_method_page():
    lde, bank = make_lde(constant=True, num_neighbours=1)
    idx = torch.arange(4)
    distribution = lde(U, V, PROBS.log(), idx, bank)['distribution']
    expected = torch.tensor([[0.96, 0.04]] * 2 + [[0.06, 0.94]] * 2)
    assert_close(distribution, expected, rtol=0, atol=1e-6)
    q = (distribution - 0.9 * F.one_hot(LABELS, 2)) / 0.1
    assert_close(q, torch.tensor([[0.6, 0.4]] * 4), rtol=0, atol=1e-5)
    assert bank.read('label_distribution', idx).tolist() == F.one_hot(LABELS, 2).tolist()
    bank.commit()
    assert_close(bank.read('label_distribution', idx), expected, rtol=0, atol=1e-6)


def test_rows_belong_to_samples_not_to_places_in_the_batch():
    labels = torch.tensor([1, 1, 0, 1, 1, 0, 1, 1, 1, 1])
    lde, bank = make_lde(labels, constant=True, num_neighbours=1)
    idx, order = torch.tensor([5, 2, 9, 0]), torch.tensor([2, 0, 3, 1])
    lde(U[order], V[order], PROBS[order].log(), idx[order], bank)
    bank.commit()
    expected = torch.tensor([[0.96, 0.04]] * 2 + [[0.06, 0.94]] * 2)
    assert_close(bank.read('label_distribution', idx), expected, rtol=0, atol=1e-6)
    others = torch.tensor([1, 3, 4, 6, 7, 8])
    assert_close(bank.read('label_distribution', others), F.one_hot(labels[others], 2).float(), rtol=0, atol=0)


def test_five_visits_move_the_bank_as_the_method_page_says():
    lde, bank = make_lde(constant=True, num_neighbours=1)
    idx = torch.tensor([0, 2])
    probs = torch.tensor([[0.5, 0.5], [0.2, 0.8]])  # sample 0's only neighbour says .2, .8
    seen = []
    for _ in range(5):
        seen.append(lde(U[idx], V[idx], probs.log(), idx, bank)['distribution'][0])
        bank.commit()
    assert_close(bank.read('label_distribution', idx)[0], torch.tensor([0.672392, 0.327608]), rtol=0, atol=1e-6)
    assert_close(seen[0], torch.tensor([0.92, 0.08]), rtol=0, atol=1e-6)


def test_without_a_commit_nothing_is_learnt():
    lde, bank = make_lde(constant=True, num_neighbours=1)
    idx = torch.arange(4)
    first, second = (lde(U, V, PROBS.log(), idx, bank)['distribution'] for _ in range(2))
    assert_close(second, first, rtol=0, atol=0)


# --- gradients ---


def test_a_live_target_trains_the_score_nets_and_a_detached_one_does_not():
    lde, bank = make_lde(torch.arange(6) % 3, classes=3, num_neighbours=3, dim=16)
    u, v, logits = random_batch(6, dim=16)
    logits.requires_grad_()
    distribution = lde(u, v, logits, torch.arange(6), bank)['distribution']
    distribution_kl(distribution, logits).backward()
    for net in (lde.expression_score, lde.landmark_score):
        grads = {name: parameter.grad for name, parameter in net.named_parameters()}
        assert all(torch.isfinite(grad).all() for grad in grads.values())
        assert all(grads[name].abs().max() > 0 for name in ('embed.weight', 'pair.weight', 'score.3.weight'))
    lde.zero_grad()
    distribution = lde(u, v, logits, torch.arange(6), bank)['distribution']
    distribution_kl(distribution.detach(), logits).backward()
    assert all(parameter.grad is None for parameter in lde.parameters())


def test_neither_the_bank_nor_the_pseudo_labels_carry_a_gradient():
    lde, bank = make_lde(torch.arange(6) % 3, classes=3)
    u, v, logits = random_batch(6)
    published = lde(u, v, logits.requires_grad_(), torch.arange(6), bank)
    assert published['distribution'].requires_grad
    assert not published['pseudo_label'].requires_grad
    bank.commit()
    assert not bank.read('label_distribution', torch.arange(6)).requires_grad


def test_the_whole_passes_gradcheck_in_features_and_logits():
    lde, bank = make_lde(torch.arange(5) % 3, classes=3, num_neighbours=2, dim=8)
    lde.double()
    u, v, logits = (value.requires_grad_() for value in random_batch(5, seed=1, dim=8, dtype=torch.float64))
    idx = torch.tensor([0, 1, 2, 3, 3])

    def loss(u, v, logits):
        return distribution_kl(lde(u, v, logits, idx, bank)['distribution'], logits)

    assert torch.autograd.gradcheck(loss, (u, v, logits))


# --- the score net ---


@pytest.mark.parametrize('dim', [4, 8, 10, 7])
def test_scores_equal_the_dense_formula(dim):
    net = NeighbourScore(dim).double()
    features = torch.randn(6, dim, dtype=torch.float64)
    h = net.embed(features)
    half = (dim + 1) // 2
    a, b = h[:, :half], h[:, half:]
    neighbours = torch.tensor([[1, 2, 5], [0, 0, 1], [5, 4, 3], [3, 2, 1], [0, 5, 4], [2, 2, 2]])
    mlp = torch.nn.Sequential(net.pair, *net.score)
    dense = torch.stack([torch.stack([mlp(torch.cat([a[i], b[j]])).softmax(0)[0] for j in range(6)]) for i in range(6)])
    assert_close(net(features, neighbours), dense.gather(1, neighbours), rtol=1e-10, atol=1e-12)
    widths = [layer.out_features for layer in mlp if isinstance(layer, torch.nn.Linear)]
    assert widths == [dim // 2, dim // 4, 2]


# --- neighbours, views and pseudo-labels ---


def test_the_whole_equals_the_formulas_of_the_method_page_written_out():
    lde, bank = make_lde(torch.tensor([0, 1, 2, 0, 1]), classes=3, num_neighbours=2)
    u, v, logits = random_batch(7, seed=3)
    idx = torch.tensor([4, 0, 3, 3, 1, 2, 0])  # two faces stand twice
    q = torch.zeros(7, 3)
    for features, net in ((u, lde.expression_score), (v, lde.landmark_score)):
        unit = features / features.norm(dim=1, keepdim=True)
        for i in range(7):
            others = [j for j in range(7) if idx[j] != idx[i]]
            nearest = sorted(others, key=lambda j: -float(unit[i] @ unit[j]))[:2]
            scores = net(features, torch.tensor([nearest] * 7))[i]
            q[i] += (scores[:, None] * logits[nearest].softmax(1)).sum(0) / scores.sum() / 2
    expected = 0.9 * F.one_hot(torch.tensor([0, 1, 2, 0, 1]), 3)[idx] + 0.1 * q
    published = lde(u, v, logits, idx, bank)
    assert_close(published['distribution'], expected, rtol=1e-5, atol=1e-6)
    bank.commit()
    rows = published['distribution'].detach()
    for sample in range(5):  # views of one face share what is remembered of it
        assert_close(bank.read('label_distribution', torch.tensor([sample]))[0], rows[idx == sample].mean(0))


def test_unsure_faces_stand_for_themselves():
    lde, bank = make_lde(torch.tensor([0, 1, 1, 0]), constant=True, num_neighbours=1, momentum=0.5)
    idx = torch.arange(4)
    pseudo = lde(U, V, PROBS.log(), idx, bank)['pseudo_label']
    # d is [.8, .2] for label 0 and [.3, .7] for label 1; the threshold is .7 (here: just below it).
    assert pseudo.tolist()[0] == pseudo.tolist()[3] == 0
    lde.confidence = 0.75
    assert lde(U, V, PROBS.log(), idx, bank)['pseudo_label'].tolist() == [0, 2 + 1, 2 + 2, 0]
    lde.confidence = 0.95
    assert lde(U, V, PROBS.log(), idx, bank)['pseudo_label'].tolist() == [2, 3, 4, 5]  # sample 0 is not class 0


def test_a_batch_of_one_face_is_fine():
    lde, bank = make_lde()
    published = lde(U[:1], V[:1], PROBS[:1].log(), torch.tensor([2]), bank)
    assert_close(published['distribution'], 0.9 * torch.tensor([[0.0, 1.0]]) + 0.1 * PROBS[:1], rtol=0, atol=1e-6)


# --- building ---


def test_it_measures_network_and_branch():
    model = classifier(dict(cls=CE, lanet=lanet()))
    lde = model.supervision.methods['lanet']['refiners']['lde']
    assert lde.expression_score.embed.in_features == 64
    assert lde.landmark_score.embed.in_features == 8
    assert model.supervision.bank.columns == ('label_distribution',)


def test_without_a_landmark_branch_it_says_what_to_do():
    cfg = dict(type='mmfer.LabelDistributionEstimation')
    with pytest.raises(ValueError, match='finds no branch that publishes "landmark_embedding".*set embedding_dims'):
        classifier(dict(a=dict(refiners=dict(lde=cfg))))


@pytest.mark.parametrize('momentum', [1.0, 1.1, -0.1])
def test_a_momentum_that_never_mends_a_label_is_refused(momentum):
    with pytest.raises(ValueError, match=f'momentum must lie in .*got {momentum}'):
        LabelDistributionEstimation(momentum=momentum)
