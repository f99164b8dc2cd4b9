"""SCNHead and RankRegularizationLoss: scaled logits in training, mmpretrain's linear head afterwards."""

import pytest
import torch
import torch.nn.functional as F
from mmpretrain.models import LinearClsHead
from tiny import CE, classifier, faces, hooks_of, network, total
from torch.testing import assert_close

from mmfer.functional import group_means
from mmfer.models.heads import SCNHead
from mmfer.models.losses import RankRegularizationLoss


def head_with(alpha: float) -> SCNHead:
    """Two classes, logits (1, 0), and an importance that is the same for every face."""
    head = SCNHead(2, 4).double()
    for parameter in head.parameters():
        torch.nn.init.zeros_(parameter)
    head.fc.bias.data = torch.tensor([1.0, 0.0], dtype=torch.float64)
    # sigmoid(-800) is 0 also in double.
    head.attention[0].bias.data.fill_(torch.logit(torch.tensor(alpha, dtype=torch.float64)).clamp(-800, 800).item())
    return head


@pytest.mark.parametrize(('alpha', 'loss'), [(1.0, 0.313262), (0.5, 0.474077), (0.0, 0.693147)])
def test_the_importance_scales_the_logits_not_the_loss(alpha, loss):
    head = head_with(alpha)
    logits = head((torch.randn(3, 4, dtype=torch.float64),))
    assert F.cross_entropy(logits, torch.zeros(3, dtype=torch.int64)).item() == pytest.approx(loss, abs=5e-7)
    assert_close(logits[0], torch.tensor([alpha, 0.0], dtype=torch.float64))  # the bias is scaled, too


def test_each_face_has_its_own_importance():
    torch.manual_seed(0)
    head, x = SCNHead(3, 8), torch.randn(5, 8)
    for parameter in head.parameters():
        torch.nn.init.normal_(parameter)
    alpha = torch.sigmoid(x @ head.attention[0].weight.T + head.attention[0].bias)
    assert alpha.shape == (5, 1)
    assert alpha.std() > 0.01
    assert_close(head((None, x)), alpha * (x @ head.fc.weight.T + head.fc.bias))


def test_deployed_it_is_the_stock_head():
    torch.manual_seed(0)
    head, x = SCNHead(3, 8), torch.randn(50, 8)
    for parameter in head.parameters():
        torch.nn.init.normal_(parameter)
    training = head((x,))
    head.eval()
    stock = LinearClsHead(3, 8)
    kept = {key: value for key, value in head.state_dict().items() if key.split('.')[0] not in SCNHead.train_only}
    assert set(head.state_dict()) - set(kept) == {'attention.0.weight', 'attention.0.bias'}
    stock.load_state_dict(kept, strict=True)
    assert_close(head((x,)), stock((x,)), rtol=0, atol=0)
    assert not torch.allclose(training, head((x,)))
    assert training.argmax(1).tolist() == head((x,)).argmax(1).tolist()


def test_it_starts_as_torchs_linear_layers_do():
    """As the authors' code: uniform up to 1 / sqrt(D); LinearClsHead's N(0, .01) makes all importances start alike."""
    torch.manual_seed(0)
    head = SCNHead(7, 512)
    head.init_weights()
    torch.manual_seed(0)
    fc, attention = torch.nn.Linear(512, 7), torch.nn.Linear(512, 1)
    assert_close(head.fc.weight, fc.weight, rtol=0, atol=0)
    assert_close(head.attention[0].weight, attention.weight, rtol=0, atol=0)
    x = torch.randn(1000, 512).abs()
    high, low = group_means(head.attention(x).flatten())
    near = SCNHead(7, 512, init_cfg=dict(type='Normal', layer='Linear', std=0.01))
    near.init_weights()
    near_high, near_low = group_means(near.attention(x).flatten())
    assert high - low > 2 * (near_high - near_low)


@pytest.fixture
def scn_classifier(monkeypatch):
    """A thin ResNet-18 with SCN's head and rank regularization."""

    def scn_network(**options):
        cfg = network(**options)
        return dict(cfg, head=dict(cfg['head'], type='mmfer.SCNHead'))

    monkeypatch.setattr('tiny.network', scn_network)

    def build(**loss):
        rank = dict(type='mmfer.RankRegularizationLoss', **loss)
        return classifier(dict(cls=CE, scn=dict(taps=dict(importance='head.attention'), losses=dict(rank=rank))))

    return build


def test_a_step_trains_head_and_attention_and_shows_both_groups(scn_classifier):
    model = scn_classifier(margin=0.9).train()
    inputs, batch = faces(10)
    losses = model.loss(inputs, batch)
    assert set(losses) == {'cls.ce_loss', 'scn.rank_loss', 'scn.importance_high', 'scn.importance_low'}
    gap = losses['scn.importance_high'] - losses['scn.importance_low']
    assert gap > 0
    assert_close(losses['scn.rank_loss'].detach(), 0.9 - gap)
    assert not losses['scn.importance_high'].requires_grad
    total(losses).backward()
    for parameter in (*model.head.fc.parameters(), *model.head.attention.parameters(), model.backbone.conv1.weight):
        assert parameter.grad.abs().sum() > 0
    assert hooks_of(model) == 0


def test_prediction_knows_no_importance(scn_classifier):
    model = scn_classifier().eval()
    inputs, _ = faces(4)
    before = model(inputs)
    model.head.attention = None
    assert_close(model(inputs), before, rtol=0, atol=0)


def test_the_loss_logs_what_it_holds_apart():
    shown = {}
    loss = RankRegularizationLoss(margin=0.3, loss_weight=2.0)
    importance = torch.tensor([[0.93], [0.46], [0.68], [0.87], [0.56], [0.64]])
    assert loss(importance, lambda **kw: shown.update(kw)).item() == pytest.approx(2 * 0.03, abs=1e-6)
    assert shown['importance_high'].item() == pytest.approx(0.78)
    assert shown['importance_low'].item() == pytest.approx(0.51)
    assert list(loss.parameters()) == []


def test_a_learnable_margin_is_a_parameter_and_is_shown():
    shown = {}
    loss = RankRegularizationLoss(margin=0.3, learnable_margin=True)
    value = loss(torch.tensor([0.93, 0.46, 0.68, 0.87, 0.56, 0.64]), lambda **kw: shown.update(kw))
    value.backward()
    assert loss.margin.grad.item() == 1
    assert shown['margin'].item() == pytest.approx(0.3)
    assert [name for name, _ in loss.named_parameters()] == ['margin']


def test_one_face_has_no_groups():
    shown = {}
    importance = torch.tensor([0.4], requires_grad=True)
    loss = RankRegularizationLoss()(importance, lambda **kw: shown.update(kw))
    loss.backward()
    assert (loss.item(), importance.grad.item(), shown) == (0, 0, {})


@pytest.mark.parametrize(('key', 'value'), [('ratio', 0.0), ('ratio', 1.0), ('margin', 1.0), ('margin', -0.1)])
def test_what_cannot_be_held_apart_is_refused(key, value):
    with pytest.raises(ValueError, match=f'{key} must lie .* got {value}'):
        RankRegularizationLoss(**{key: value})
