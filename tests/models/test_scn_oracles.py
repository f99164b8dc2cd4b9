"""SCN's parts against the numbers of its method page; the parts' own sources were not looked at."""

import copy
import math

import pytest
import torch
import torch.nn.functional as F
from mmengine.logging import MessageHub
from mmpretrain.models import ImageClassifier, LinearClsHead
from tiny import CE, faces, network, total
from torch.testing import assert_close

from mmfer.models.classifiers import FERClassifier
from mmfer.models.heads import SCNHead
from mmfer.models.losses import CrossEntropyLoss, RankRegularizationLoss
from mmfer.models.supervision.refiners import MarginRelabel
from mmfer.structures import SampleBank

PAGE = torch.tensor([0.93, 0.46, 0.68, 0.87, 0.56, 0.64], dtype=torch.float64)
SCN = dict(
    taps=dict(importance='head.attention'),
    refiners=dict(relabel=dict(type='mmfer.MarginRelabel')),
    losses=dict(rank=dict(type='mmfer.RankRegularizationLoss')),
)


def scn(**relabel) -> dict:
    """Cross-entropy and SCN."""
    method = copy.deepcopy(SCN)
    method['refiners']['relabel'].update(relabel)
    return dict(cls=CE, scn=method)


def scn_classifier(samples=12, seed=0, classes=3, **relabel):
    """A thin ResNet-18 with SCN's head, its bank sized for `samples` faces of labels 0, 1, 2, 0, ..."""
    parts = network(classes)
    parts['head'] = dict(parts['head'], type='mmfer.SCNHead')
    preprocessor = dict(type='mmfer.FaceDataPreprocessor', size=32)
    torch.manual_seed(seed)
    model = FERClassifier(**parts, data_preprocessor=preprocessor, supervision=scn(**relabel))
    model.supervision.bank.allocate(torch.arange(samples) % classes, classes)
    return model


def head_with(alpha: float, scores: list[float], dim=5) -> SCNHead:
    """Whatever the face, the head's importance and unscaled scores are these."""
    head = SCNHead(num_classes=len(scores), in_channels=dim).double().train()
    with torch.no_grad():
        for layer in (head.fc, head.attention[0]):
            layer.weight.zero_()
        head.fc.bias.copy_(torch.tensor(scores))
        limit = {0.0: -1000.0, 1.0: 1000.0}
        head.attention[0].bias.fill_(limit[alpha] if alpha in limit else math.log(alpha / (1 - alpha)))
    return head


# --- head ---


@pytest.mark.parametrize(('alpha', 'loss'), [(1.0, 0.313262), (0.5, 0.474077), (0.0, math.log(2))])
def test_the_importance_scales_the_logits_with_their_bias(alpha, loss):
    head = head_with(alpha, [1.0, 0.0])
    logits = head((torch.randn(3, 5, dtype=torch.float64),))
    assert_close(logits, torch.tensor([[alpha, 0.0]] * 3, dtype=torch.float64), rtol=0, atol=1e-12)
    label, weight = torch.zeros(3, dtype=torch.int64), torch.ones(3, dtype=torch.float64)
    assert_close(CrossEntropyLoss()(logits, label, weight).item(), loss, rtol=0, atol=1e-6)


def test_in_training_the_logits_are_the_importance_times_the_linear_layer():
    head, x = SCNHead(num_classes=4, in_channels=6).double().train(), torch.randn(5, 6, dtype=torch.float64)
    with torch.no_grad():
        head.fc.bias.normal_()
        head.attention[0].bias.normal_()
    w, b = head.attention[0].weight, head.attention[0].bias
    expected = torch.stack(
        [
            1
            / (1 + torch.exp(-(row @ w[0] + b[0])))
            * torch.stack([row @ head.fc.weight[k] + head.fc.bias[k] for k in range(4)])
            for row in x
        ]
    )
    assert_close(head((x,)), expected, rtol=1e-10, atol=1e-12)
    assert head.attention(x).shape == (5, 1)
    assert head.attention(x).detach().std() > 1e-3


def test_in_testing_it_is_mmpretrains_head_with_the_same_weights():
    ours, stock = SCNHead(num_classes=4, in_channels=6), LinearClsHead(num_classes=4, in_channels=6)
    names = {name for name in ours.state_dict() if name.split('.')[0] not in ours.train_only}
    assert names == set(stock.state_dict()) == {'fc.weight', 'fc.bias'}
    assert tuple(ours.train_only) == ('attention',)
    stock.load_state_dict({name: ours.state_dict()[name] for name in names}, strict=True)
    x = (torch.randn(5, 6),)
    ours.eval()
    stock.eval()
    assert_close(ours(x), stock(x), rtol=0, atol=0)
    for mine, other in zip(ours.predict(x), stock.predict(x), strict=True):
        assert mine.pred_label.tolist() == other.pred_label.tolist()
        assert_close(mine.pred_score, other.pred_score, rtol=0, atol=0)


def test_the_importance_never_changes_the_decision():
    head, x = SCNHead(num_classes=4, in_channels=6), torch.randn(40, 6)
    train, test = head.train()((x,)), head.eval()((x,))
    assert not torch.allclose(train, test)
    assert train.argmax(1).tolist() == test.argmax(1).tolist()


def test_an_importance_of_zero_gives_the_linear_layer_no_gradient():
    for alpha, moves in ((0.0, False), (0.5, True)):
        head = head_with(alpha, [1.0, 0.0])
        F.cross_entropy(head((torch.ones(2, 5, dtype=torch.float64),)), torch.tensor([1, 0])).backward()
        assert (head.fc.weight.grad.abs().max() > 0) == moves


# --- rank regularization ---


def rank_loss(importance, **options):
    seen = {}
    loss = RankRegularizationLoss(**options).double()

    def log(**figures):
        seen.update({name: torch.as_tensor(value).detach().item() for name, value in figures.items()})

    return loss(importance, log), seen, loss


@pytest.mark.parametrize('shape', [(6,), (6, 1)])
def test_the_pages_importances_cost_nothing_at_15_and_03_at_30(shape):
    importance = PAGE.view(shape)
    assert rank_loss(importance)[0].item() == 0
    value, seen, _ = rank_loss(importance, margin=0.30)
    assert_close(value.item(), 0.03, rtol=0, atol=1e-12)
    assert value.shape == ()
    assert seen['importance_high'] == pytest.approx(0.78)
    assert seen['importance_low'] == pytest.approx(0.51)
    assert_close(rank_loss(importance, margin=0.30, loss_weight=0.5)[0].item(), 0.015, rtol=0, atol=1e-12)


def test_a_fixed_margin_is_no_parameter_and_a_learnable_one_learns():
    _, seen, fixed = rank_loss(PAGE, margin=0.30)
    assert list(fixed.parameters()) == []
    assert 'margin' not in seen
    value, seen, loss = rank_loss(PAGE, margin=0.30, learnable_margin=True)
    (margin,) = loss.parameters()
    assert margin.item() == pytest.approx(0.30)
    assert seen['margin'] == pytest.approx(0.30)
    value.backward()
    assert margin.grad.item() == 1


def test_two_faces_are_two_groups():
    value, seen, _ = rank_loss(PAGE[:2], margin=0.5)
    assert seen == pytest.approx({'importance_high': 0.93, 'importance_low': 0.46})
    assert value.item() == pytest.approx(0.03)


@pytest.mark.parametrize('learnable', [False, True])
def test_one_face_costs_nothing(learnable):
    importance = torch.tensor([[0.4]], dtype=torch.float64, requires_grad=True)
    value, _, loss = rank_loss(importance, learnable_margin=learnable)
    assert value.item() == 0
    if learnable:  # DDP waits for every parameter's gradient
        value.backward()
        assert next(loss.parameters()).grad.item() == 0


# --- relabelling ---


class Relabelled:
    """A refiner with its bank; each visit is one step of training."""

    def __init__(self, labels, classes=3, **options):
        self.refiner, self.bank, self.classes = MarginRelabel(**options), SampleBank(), classes
        self.labels = torch.tensor(labels)
        self.bank.declare(self.refiner.bank_columns(), 'relabel')
        self.bank.allocate(self.labels, classes)

    def visit(self, logits, index=None, epoch=9, importance=None, target=None):
        """The target that this step trains on; probabilities may be given by `log_probs`."""
        index = torch.arange(len(logits)) if index is None else torch.tensor(index)
        importance = torch.full((len(logits), 1), 0.5) if importance is None else torch.tensor(importance).view(-1, 1)
        target = self.labels[index] if target is None else target
        published = self.refiner(logits, target, index, epoch, self.bank, importance, lambda **_: None)
        assert set(published) == {'target'} == set(self.refiner.publishes)
        self.bank.commit()
        return published['target']

    @property
    def stored(self) -> list[int]:
        given = self.bank.read('relabelled', torch.arange(len(self.labels)))
        assert given.dtype == torch.int64
        assert torch.equal(self.bank.column('relabelled'), given.to(torch.int8))  # as it is kept
        return given.tolist()


def log_probs(*rows):
    return torch.tensor(rows, dtype=torch.float64).log().clamp_min(-1e4)


SURE = (0.98, 0.01, 0.01)


def test_the_columns_start_as_the_labels_and_1():
    relabelled = Relabelled([2, 0, 1])
    assert set(relabelled.bank.columns) == {'relabelled', 'importance'}
    assert relabelled.stored == [2, 0, 1]
    assert relabelled.bank.column('importance').tolist() == [1, 1, 1]


@pytest.mark.parametrize(('probs', 'stored'), [((0.5, 0.35, 0.15), 1), ((0.6, 0.3, 0.1), 0)])
def test_the_pages_predictions(probs, stored):
    relabelled = Relabelled([1], scope='all')
    relabelled.visit(log_probs(probs))
    assert relabelled.stored == [stored]


@pytest.mark.parametrize('dtype', [torch.float32, torch.float64])
@pytest.mark.parametrize('margin', [0.1, 0.2, 0.3, 0.4])
@pytest.mark.parametrize('low', [0.05, 0.15, 0.25, 0.28])
def test_a_difference_of_exactly_the_margin_keeps_the_label(low, margin, dtype):
    """Exactly as the numbers are written: .5 - .3 > .2 in float32, which nobody means."""
    for more, stored in ((0.0, 1), (1e-3, 0), (-1e-3, 1)):
        high = low + margin + more
        relabelled = Relabelled([1], classes=22, scope='all', margin=margin)
        relabelled.visit(log_probs((high, low, *[(1 - high - low) / 20] * 20)).to(dtype))
        assert relabelled.stored == [stored]


def test_a_difference_that_is_exact_in_floating_point_keeps_the_label():
    logits = torch.tensor([[0.0, -1e4, 0.0]])  # .5, 0, .5
    relabelled = Relabelled([1], scope='all', margin=0.5)
    relabelled.visit(logits)
    assert relabelled.stored == [1]


def test_a_prediction_of_the_label_itself_keeps_it():
    relabelled = Relabelled([0, 1, 2], scope='all', margin=0.0)
    relabelled.visit(torch.eye(3) * 5)
    assert relabelled.stored == [0, 1, 2]


@pytest.mark.parametrize(
    ('start_epoch', 'epoch', 'moves'),
    [(10, 8, False), (10, 9, True), (10, 30, True), (1, 0, True), (2, 0, False), (2, 1, True)],
)
def test_the_first_epoch_is_counted_from_1_and_the_trace_from_0(start_epoch, epoch, moves):
    relabelled = Relabelled([1, 1], scope='all', start_epoch=start_epoch)
    relabelled.visit(log_probs(SURE, SURE), epoch=epoch)
    assert relabelled.stored == ([0, 0] if moves else [1, 1])


def test_by_default_it_starts_at_the_tenth_epoch_with_a_margin_of_two_tenths_and_the_low_group():
    relabelled = Relabelled([1] * 4)
    importance = [0.9, 0.8, 0.7, 0.1]
    relabelled.visit(log_probs(*[SURE] * 4), epoch=8, importance=importance)
    assert relabelled.stored == [1, 1, 1, 1]
    relabelled.visit(log_probs(*[(0.55, 0.36, 0.09)] * 4), epoch=9, importance=importance)
    assert relabelled.stored == [1, 1, 1, 1]
    relabelled.visit(log_probs(*[(0.55, 0.34, 0.11)] * 4), epoch=9, importance=importance)
    assert relabelled.stored == [1, 1, 1, 0]


def test_the_paper_relabels_the_less_important_and_the_code_all():
    importance = PAGE.tolist()
    for scope, changed in (('low', [1, 4]), ('all', range(6))):
        relabelled = Relabelled([1] * 6, scope=scope)
        relabelled.visit(log_probs(*[SURE] * 6), importance=importance)
        assert relabelled.stored == [0 if face in changed else 1 for face in range(6)]


def test_the_low_group_follows_the_ratio():
    importance = [0.9, 0.8, 0.7, 0.6, 0.5, 0.4]
    for ratio, low in ((0.5, [3, 4, 5]), (0.9, [5]), (0.1, [1, 2, 3, 4, 5])):
        relabelled = Relabelled([1] * 6, ratio=ratio)
        relabelled.visit(log_probs(*[SURE] * 6), importance=importance)
        assert relabelled.stored == [0 if face in low else 1 for face in range(6)]


def test_a_new_label_holds_from_the_next_visit_on():
    relabelled = Relabelled([1, 2], scope='all')
    sure = log_probs(SURE, (0.1, 0.1, 0.8))
    assert relabelled.visit(sure).tolist() == [1, 2]  # this step trains on the old one
    assert relabelled.visit(sure).tolist() == [0, 2]
    assert relabelled.stored == [0, 2]


def test_a_new_label_stays_when_the_network_doubts_it_again():
    relabelled = Relabelled([1], scope='all')
    relabelled.visit(log_probs(SURE))
    for _ in range(3):
        assert relabelled.visit(log_probs((0.45, 0.5, 0.05))).tolist() == [0]
    assert relabelled.visit(log_probs((0.45, 0.5, 0.05)), epoch=0).tolist() == [0]  # a label once given counts always


def test_the_margin_is_held_against_the_stored_label_so_that_changes_add_up():
    relabelled = Relabelled([2], scope='all')
    relabelled.visit(log_probs((0.5, 0.4, 0.1)))
    assert relabelled.stored == [0]
    # Against the observed label 2 this would change it; against the stored 0 the difference is .1.
    relabelled.visit(log_probs((0.4, 0.5, 0.1)))
    assert relabelled.stored == [0]
    relabelled.visit(log_probs((0.2, 0.7, 0.1)))
    assert relabelled.stored == [1]
    relabelled.visit(log_probs((0.1, 0.1, 0.8)))
    assert relabelled.stored == [2]  # back to the observed one


def test_rows_belong_to_samples_not_to_places_in_the_batch():
    relabelled = Relabelled([0, 1, 2, 0, 1, 2], scope='all')
    logits = log_probs((0.1, 0.1, 0.8), SURE, (0.1, 0.8, 0.1))
    relabelled.visit(logits, index=[4, 2, 1], importance=[0.2, 0.4, 0.6])
    assert relabelled.stored == [0, 1, 0, 0, 2, 2]
    assert_close(relabelled.bank.column('importance'), torch.tensor([1, 0.6, 0.4, 1, 0.2, 1]))
    assert relabelled.visit(logits, index=[2, 5, 4]).tolist() == [0, 2, 2]


def test_importance_is_remembered_from_the_first_epoch_on():
    relabelled = Relabelled([0, 1, 2])
    relabelled.visit(log_probs(SURE, SURE), index=[2, 0], epoch=0, importance=[0.25, 0.75])
    assert relabelled.bank.column('importance').tolist() == [0.75, 1, 0.25]
    relabelled.visit(log_probs(SURE), index=[2], epoch=1, importance=[0.5])
    assert relabelled.bank.column('importance').tolist() == [0.75, 1, 0.5]


def test_the_target_of_other_methods_stays_where_no_label_changed():
    """Votes, or what another refiner has found; a face with a new label has that one."""
    relabelled = Relabelled([1, 2], scope='all')
    votes = torch.tensor([[0.2, 0.7, 0.1], [0.3, 0.3, 0.4]])
    assert_close(relabelled.visit(log_probs(SURE, SURE), target=votes, epoch=0), votes, rtol=0, atol=0)
    assert_close(relabelled.visit(log_probs(SURE, (0.1, 0.1, 0.8)), target=votes), votes, rtol=0, atol=0)
    refined = relabelled.visit(log_probs(SURE, (0.1, 0.1, 0.8)), target=votes)
    assert_close(refined, torch.tensor([[1.0, 0, 0], [0.3, 0.3, 0.4]]), rtol=0, atol=0)
    ids = torch.tensor([2, 0])  # amended by an earlier refiner
    assert relabelled.visit(log_probs(SURE, (0.1, 0.1, 0.8)), target=ids).tolist() == [0, 0]


def test_neither_target_nor_memory_carries_a_gradient():
    relabelled = Relabelled([1, 1, 1])
    logits = torch.randn(3, 3, requires_grad=True)
    importance = torch.rand(3, 1, requires_grad=True)
    published = relabelled.refiner(
        logits, relabelled.labels, torch.arange(3), 9, relabelled.bank, importance, lambda **_: None
    )
    assert not published['target'].requires_grad
    relabelled.bank.commit()
    assert not relabelled.bank.column('importance').requires_grad


@pytest.mark.parametrize('options', [dict(scope='high'), dict(ratio=1.5), dict(ratio=0.0), dict(start_epoch=0)])
def test_settings_without_a_meaning_are_refused(options):
    (name,) = options
    with pytest.raises(ValueError, match=name):
        MarginRelabel(**options)


# --- in a classifier ---


def at_epoch(epoch: int) -> None:
    MessageHub.get_current_instance().update_info('epoch', epoch)


def test_a_step_relabels_from_its_scaled_predictions_and_trains_on_the_old_labels():
    model = scn_classifier(scope='all', start_epoch=1, margin=0.05).train()
    inputs, batch = faces(6)
    with torch.no_grad():
        model.head.fc.weight.mul_(30)
    state = copy.deepcopy(model.state_dict())
    embedding = model.head.pre_logits(model.extract_feat(inputs))
    alpha = torch.sigmoid(F.linear(embedding, model.head.attention[0].weight, model.head.attention[0].bias))
    logits = alpha * F.linear(embedding, model.head.fc.weight, model.head.fc.bias)
    probs = logits.softmax(1)
    stored = batch.label.clone()
    for row in range(6):
        if probs[row].max() - probs[row, batch.label[row]] > 0.05:
            stored[row] = probs[row].argmax()
    assert stored.tolist() != batch.label.tolist()

    model.load_state_dict(state)
    losses = model.loss(inputs, batch)
    assert_close(losses['cls.ce_loss'], F.cross_entropy(logits, batch.label), rtol=1e-5, atol=1e-6)
    ordered = alpha.flatten().sort(descending=True).values
    gap = ordered[:4].mean() - ordered[4:].mean()
    assert_close(losses['scn.rank_loss'], (0.15 - gap).clamp_min(0), rtol=1e-5, atol=1e-6)
    assert_close(losses['scn.importance_high'], ordered[:4].mean().detach(), rtol=1e-5, atol=1e-6)
    assert_close(losses['scn.importance_low'], ordered[4:].mean().detach(), rtol=1e-5, atol=1e-6)
    assert model.supervision.bank.column('relabelled')[:6].tolist() == batch.label.tolist()  # not before the commit
    model.supervision.commit()
    assert model.supervision.bank.column('relabelled')[:6].tolist() == stored.tolist()
    assert_close(model.supervision.bank.column('importance')[:6], alpha.flatten().detach(), rtol=1e-5, atol=1e-6)

    model.load_state_dict(state)
    again = model.loss(inputs, batch)
    assert_close(again['cls.ce_loss'], F.cross_entropy(logits, stored), rtol=1e-5, atol=1e-6)
    assert batch.label.tolist() == [0, 1, 2, 0, 1, 2]  # the data are as they were


@pytest.mark.parametrize(('epoch', 'moves'), [(8, False), (9, True)])
def test_the_epoch_is_that_of_the_run(epoch, moves):
    model = scn_classifier(scope='all', margin=0.0).train()
    at_epoch(epoch)
    inputs, batch = faces(6)
    model.loss(inputs, batch)
    model.supervision.commit()
    stored = model.supervision.bank.column('relabelled')
    assert (stored.tolist() != (torch.arange(12) % 3).tolist()) == moves


def test_every_weight_learns_and_predictions_are_those_of_the_stock_classifier():
    model = scn_classifier().train()
    inputs, batch = faces(6)
    total(model.loss(inputs, batch)).backward()
    assert [name for name, p in model.named_parameters() if p.grad is None or not p.grad.any()] == []
    plain = ImageClassifier(**network())
    own = {k: v for k, v in model.state_dict().items() if not k.startswith(('supervision.', 'head.attention.'))}
    plain.load_state_dict(own, strict=True)
    with torch.inference_mode():
        assert_close(model.eval()(inputs), plain.eval()(inputs), rtol=1e-5, atol=1e-6)
