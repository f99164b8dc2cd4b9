"""The order of a step, its memories, schedules and precision, with parts that write down what happens to them."""

import pytest
import torch
from mmengine.logging import MessageHub
from tiny import ToyClassifier, hooks_of
from torch import nn
from torch.testing import assert_close

from mmfer.models.supervision import Part, Supervision
from mmfer.models.supervision.step import frozen_buffers, interpolate
from mmfer.structures import Column, FaceBatch

CE = dict(type='mmfer.CrossEntropyLoss')
EVENTS: list = []


class Branch(Part):
    shares = ('early', 'table')
    publishes = ('rows', 'early', 'table')

    def __init__(self):
        super().__init__()
        self.register_buffer('memory', torch.zeros(3))
        self.scale = nn.Parameter(torch.ones(()))

    def setup(self, model, supervision):
        EVENTS.append(('setup', type(model).__name__, type(supervision).__name__))

    def initialize(self, model, pretrained):
        EVENTS.append(('initialize', pretrained))

    def begin(self, inputs):
        EVENTS.append('begin')
        return {'early': self.memory}

    def forward(self, maps, embedding):
        EVENTS.append('branch')
        return {'rows': embedding * self.scale, 'table': maps.detach().mean()}

    def finish(self, rows, refined, table):
        EVENTS.append(('finish', rows.requires_grad, refined.requires_grad))
        self.memory += 1


class Refiner(Part):
    publishes = ('refined',)

    def bank_columns(self):
        return {'seen': Column(start=0.0)}

    def forward(self, rows, early, sample_idx, bank):
        EVENTS.append('refiner')
        bank.stage('seen', sample_idx, bank.read('seen', sample_idx) + 1)
        return {'refined': rows.softmax(1)}


class Loss(Part):
    def __init__(self, loss_weight=1.0):
        super().__init__()
        self.loss_weight = loss_weight

    def forward(self, refined, embedding):
        EVENTS.append('loss')
        return self.loss_weight * (refined * embedding).sum()


METHODS = dict(
    second=dict(losses=dict(x=dict(type=Loss)), refiners=dict(r=dict(type=Refiner))),
    first=dict(taps=dict(maps='backbone.conv'), branches=dict(keys=dict(type=Branch)), losses=dict(ce=CE)),
)


@pytest.fixture
def model():
    EVENTS.clear()
    model = ToyClassifier()
    model.supervision = Supervision(METHODS, model)
    model.supervision.bank.allocate(torch.zeros(9).long(), 3)
    return model


def batch_of(rows=4, **columns):
    return FaceBatch(torch.arange(rows) % 3, torch.arange(rows), **columns)


def step(model, rows=4):
    return model.supervision(model, torch.randn(rows, 3, 8, 8), batch_of(rows))


def test_parts_run_kind_by_kind_in_the_order_written(model):
    model.backbone.register_forward_hook(lambda *_: EVENTS.append('network'))
    assert EVENTS == [('setup', 'ToyClassifier', 'Supervision')]
    EVENTS.clear()
    losses = step(model)
    assert EVENTS == ['begin', 'network', 'branch', 'refiner', 'loss']
    assert list(losses) == ['second.x_loss', 'first.ce_loss']
    EVENTS.clear()
    model.supervision.commit()
    assert EVENTS == [('finish', False, False)]  # without graph
    model.supervision.initialize(model, pretrained=True)
    assert EVENTS[1:] == [('initialize', True)]


def test_memories_change_at_the_commit_once(model):
    supervision, rows = model.supervision, torch.arange(4)
    memory = supervision.methods['first']['branches']['keys'].memory
    sum(step(model).values()).backward()
    assert memory.tolist() == [0, 0, 0]
    assert supervision.bank.read('seen', rows).tolist() == [0] * 4
    for _ in range(2):  # the second one finds nothing to do
        supervision.commit()
        assert memory.tolist() == [1, 1, 1]
        assert supervision.bank.read('seen', torch.arange(6)).tolist() == [1, 1, 1, 1, 0, 0]
    step(model, rows=2)
    supervision.commit()
    assert memory.tolist() == [2, 2, 2]
    assert supervision.bank.read('seen', rows).tolist() == [2, 2, 1, 1]


def test_the_network_runs_once_and_no_hook_is_left(model):
    runs = []
    handle = model.backbone.conv.register_forward_hook(lambda *_: runs.append(1))
    step(model)
    handle.remove()
    assert runs == [1]
    assert hooks_of(model) == 0


@pytest.mark.parametrize(
    ('kind', 'hook'), [('branches', 'begin'), ('branches', 'forward'), ('refiners', 'forward'), ('losses', 'forward')]
)
def test_no_hook_is_left_when_a_part_raises(kind, hook):
    class Broken(Part):
        def begin(self):
            return self.run('begin')

        def forward(self):
            return self.run('forward')

        def run(self, name):
            if name == hook:
                raise RuntimeError('a bug')
            return {}

    model = ToyClassifier()
    cfg = dict(taps=dict(maps='backbone.conv'), **{kind: dict(broken=dict(type=Broken))})
    model.supervision = Supervision(dict(a=cfg), model)
    with pytest.raises(RuntimeError, match='a bug'):
        step(model)
    assert hooks_of(model) == 0


def test_names_of_parts_may_be_those_of_a_modules_methods():
    names = ['keys', 'values', 'items', 'train', 'forward', 'type']
    supervision = Supervision({name: dict(losses={name: CE}) for name in names}, ToyClassifier())
    weights = [part.loss_weight for method in supervision.methods.values() for part in method['losses'].values()]
    assert weights == [1] * 6
    assert len(list(supervision.methods['keys']['losses'].values())) == 1
    supervision.train(False)
    assert not supervision.methods['train']['losses']['train'].training


def test_parts_are_children_under_their_place_in_the_config(model):
    keys = {f'supervision.methods.first.branches.keys.{name}' for name in ('memory', 'scale')}
    assert keys == {key for key in model.state_dict() if key.startswith('supervision.')}


# --- the classification term ---


def test_cross_entropy_starts_from_the_observed_label_with_weight_one():
    model, inputs = ToyClassifier(), torch.randn(5, 3, 8, 8)
    losses = Supervision(dict(cls=dict(losses=dict(ce=CE))), model)(model, inputs, batch_of(5))
    expected = nn.functional.cross_entropy(model.head(model.extract_feat(inputs)), torch.arange(5) % 3)
    assert list(losses) == ['cls.ce_loss']
    assert_close(losses['cls.ce_loss'], expected)


def test_where_annotators_voted_the_votes_are_the_target():
    model, inputs = ToyClassifier(), torch.randn(2, 3, 8, 8)
    votes = torch.tensor([[0.7, 0.3, 0.0], [0.2, 0.2, 0.6]])
    losses = Supervision(dict(cls=dict(losses=dict(ce=CE))), model)(model, inputs, batch_of(2, score=votes))
    log_probs = model.head(model.extract_feat(inputs)).log_softmax(1)
    assert_close(losses['cls.ce_loss'], -(votes * log_probs).sum(1).mean())


# --- schedules ---


def test_a_schedule_is_linear_between_its_points_and_constant_outside():
    points = [(2, 0.0), (4, 1.0), (8, 0.5)]
    assert [interpolate(points, epoch) for epoch in (0, 2, 3, 4, 6, 8, 50)] == [0, 0, 0.5, 1, 0.75, 0.5, 0.5]
    assert interpolate([(0, 0.1)], 7) == 0.1


def test_a_loss_weight_may_follow_the_epoch():
    model, batch, inputs = ToyClassifier(), batch_of(3), torch.randn(3, 3, 8, 8)
    weights = dict(ce=CE, grows=dict(**CE, loss_weight=[(0, 0.0), (10, 2.0)]), fixed=dict(**CE, loss_weight=3))
    supervision = Supervision(dict(a=dict(losses=weights)), model)
    info = MessageHub.get_current_instance()
    for epoch, expected in ((None, 0.0), (0, 0.0), (5, 1.0), (10, 2.0), (11, 2.0), (1, 0.2)):
        if epoch is not None:
            info.update_info('epoch', epoch)
        losses = supervision(model, inputs, batch)
        assert_close(losses['a.grows_loss'], expected * losses['a.ce_loss'])
        assert_close(losses['a.fixed_loss'], 3 * losses['a.ce_loss'])


@pytest.mark.parametrize('weight', [[], [(5, 1.0), (0, 0.0)], [(0, 0.0), (0, 1.0)], [0.0, 1.0], [(0, 1.0, 2.0)]])
def test_a_schedule_that_is_none_is_refused(weight):
    losses = dict(grows=dict(**CE, loss_weight=weight))
    with pytest.raises(ValueError, match=r'supervision.a.losses.grows.loss_weight must be .* rising epochs, got '):
        Supervision(dict(a=dict(losses=losses)), ToyClassifier())


def test_parts_know_the_epoch_and_the_number_of_epochs():
    class Progress(Part):
        def forward(self, epoch, max_epochs, logits):
            return logits.sum() * 0 + epoch / max_epochs

    model = ToyClassifier()
    supervision = Supervision(dict(a=dict(losses=dict(p=dict(type=Progress)))), model)
    info = MessageHub.get_current_instance()
    info.update_info('epoch', 3)
    info.update_info('max_epochs', 12)
    assert supervision(model, torch.randn(2, 3, 8, 8), batch_of(2))['a.p_loss'].item() == 0.25


# --- precision ---


def test_under_autocast_refiners_and_losses_work_in_full_precision():
    class Precise(Part):
        publishes = ('product',)

        def forward(self, embedding, logits):
            assert not torch.is_autocast_enabled('cpu')
            assert embedding.dtype == logits.dtype == torch.float32
            return {'product': embedding @ embedding.T}

    class Check(Part):
        def forward(self, product, logits):
            assert product.dtype == (logits @ logits.T).dtype == torch.float32
            return product.mean()

    class Local(Part):
        publishes = ()

        def forward(self, logits):
            assert torch.is_autocast_enabled('cpu')
            assert logits.dtype == torch.bfloat16
            return {}

    model = ToyClassifier()
    supervision = Supervision(
        dict(
            a=dict(
                branches=dict(l=dict(type=Local)),
                refiners=dict(p=dict(type=Precise)),
                losses=dict(c=dict(type=Check), ce=CE),
            )
        ),
        model,
    )
    with torch.autocast('cpu', dtype=torch.bfloat16):
        losses = supervision(model, torch.randn(4, 3, 8, 8), batch_of(4))
    assert {value.dtype for value in losses.values()} == {torch.float32}
    sum(losses.values()).backward()
    assert torch.isfinite(model.backbone.conv.weight.grad).all()


# --- landmarks ---


@pytest.mark.parametrize('hook', ['forward', 'begin', 'finish'])
@pytest.mark.parametrize('name', ['landmarks', 'landmark_valid'])
def test_the_part_that_needs_landmarks_is_named(hook, name):
    class Needy(Part):
        publishes = ()

        def forward(self, logits):
            return {}

    source = {'landmarks': lambda self, landmarks: {}, 'landmark_valid': lambda self, landmark_valid: {}}[name]
    setattr(Needy, hook, source)
    methods = dict(cls=dict(losses=dict(ce=CE)), a=dict(branches=dict(n=dict(type=Needy))))
    assert Supervision(methods, ToyClassifier()).needs_landmarks == 'supervision.a.branches.n'
    assert Supervision(dict(cls=methods['cls']), ToyClassifier()).needs_landmarks is None


def test_landmarks_under_another_name_are_landmarks_still():
    class Points(Part):
        def forward(self, points):
            return points.sum()

    cfg = dict(type=Points, inputs=dict(points='landmarks'))
    supervision = Supervision(dict(a=dict(losses=dict(p=cfg))), ToyClassifier())
    assert supervision.needs_landmarks == 'supervision.a.losses.p'


# --- the log ---


class Talks(Part):
    def __init__(self, name='mean'):
        super().__init__()
        self.name = name

    def forward(self, logits, log):
        log(**{self.name: logits.mean(), 'fixed': 2})
        return logits.square().mean()


def test_parts_show_numbers_beside_the_losses_without_a_graph():
    model = ToyClassifier()
    supervision = Supervision({m: dict(losses=dict(talk=dict(type=Talks))) for m in ('a', 'b')}, model)
    losses = supervision(model, torch.randn(2, 3, 8, 8), batch_of(2))
    assert set(losses) == {f'{m}.{name}' for m in 'ab' for name in ('talk_loss', 'mean', 'fixed')}
    assert losses['a.fixed'] == losses['b.fixed'] == 2
    assert losses['a.mean'].shape == ()
    assert (losses['a.mean'].requires_grad, losses['a.talk_loss'].requires_grad) == (False, True)


def test_a_number_that_would_be_minimised_is_refused():
    model = ToyClassifier()
    supervision = Supervision(dict(a=dict(losses=dict(talk=dict(type=Talks, name='my_loss')))), model)
    with pytest.raises(ValueError, match='a.talk logs "my_loss".*rename it'):
        supervision(model, torch.randn(2, 3, 8, 8), batch_of(2))


def test_a_method_all_of_whose_numbers_would_be_minimised_is_refused():
    with pytest.raises(ValueError, match=r'supervision.focal_loss: .*rename it'):
        Supervision(dict(focal_loss=dict(losses=dict(talk=dict(type=Talks)))), ToyClassifier())


# --- combinations ---


class Replaces(Part):
    publishes = ('target',)

    def forward(self, label):
        return {'target': label * 0 + 2}


class Amends(Replaces):
    def forward(self, target):
        return {'target': (target + 1) % 3}


class Weighs(Part):
    publishes = ('weight',)

    def forward(self, label):
        return {'weight': label * 0.5}


def targets(*refiners):
    """The target that losses see after refiners of these types."""

    class Shows(Part):
        def forward(self, target, log):
            log(target=target.double().mean())
            return target.sum() * 0.0

    model = ToyClassifier()
    methods = {f'm{i}': dict(refiners=dict(r=dict(type=kind))) for i, kind in enumerate(refiners)}
    supervision = Supervision({**methods, 'seen': dict(losses=dict(s=dict(type=Shows)))}, model)
    return supervision(model, torch.randn(3, 3, 8, 8), batch_of(3))['seen.target'].item()


def test_refiners_amend_the_target_in_the_order_written():
    assert targets(Replaces) == 2
    assert targets(Replaces, Amends) == 0
    assert targets(Amends, Amends, Amends) == 1
    assert targets(Replaces, Weighs) == 2


def test_a_refiner_that_would_throw_away_anothers_target_is_refused():
    both = r'supervision.m0.refiners.r and supervision.m1.refiners.r both set "target"'
    for first in (Replaces, Amends):
        with pytest.raises(ValueError, match=both):
            targets(first, Replaces)


def test_a_part_may_refuse_the_network_at_build_and_before_the_run():
    class Fussy(Part):
        def check(self, model, wrapper=None):
            if any(isinstance(module, nn.SyncBatchNorm) for module in model.modules()):
                raise ValueError('not across SyncBatchNorm')

        def forward(self, logits):
            return logits.sum()

    model, methods = ToyClassifier(), dict(a=dict(losses=dict(f=dict(type=Fussy, inputs={}))))
    supervision = Supervision(methods, model)
    model.backbone.add_module('norm', nn.SyncBatchNorm(4))
    for refuses in (lambda: supervision.check(model), lambda: Supervision(methods, model)):
        with pytest.raises(ValueError, match='not across SyncBatchNorm'):
            refuses()


# --- further passes of the network ---


@pytest.mark.parametrize('training', [True, False])
def test_a_further_pass_leaves_no_trace_in_the_networks_buffers(training):
    model = ToyClassifier()
    model.backbone.add_module('norm', nn.BatchNorm2d(4))
    model.train(training)
    inputs = torch.randn(4, 3, 8, 8)
    first = model.backbone(inputs)
    before = {name: buffer.clone() for name, buffer in model.named_buffers()}
    with frozen_buffers(model):
        second = model.backbone(inputs + 1)
    (first.sum() + second.square().sum()).backward()  # restoring is no change to what backward needs
    assert_close(dict(model.named_buffers()), before, rtol=0, atol=0)
    assert before['backbone.norm.num_batches_tracked'] == training


def test_buffers_are_restored_when_the_pass_fails():
    model = ToyClassifier()
    model.backbone.add_module('norm', nn.BatchNorm2d(4))
    model.backbone.add_module('broken', nn.Linear(1, 1))
    with pytest.raises(RuntimeError, match='shapes'), frozen_buffers(model):
        model.backbone(torch.randn(4, 3, 8, 8))
    assert not model.backbone.norm.running_mean.any()
