"""SNA's parts against the numbers of its method page and plain loops; the parts' own sources were not looked at."""

import math

import pytest
import torch
import torch.nn.functional as F
from mmengine.logging import MessageHub
from tiny import CE, classifier, faces, network, total
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.testing import assert_close

from mmfer.models.classifiers import FERClassifier
from mmfer.models.losses import CrossEntropyLoss, NeighborhoodSmoothnessLoss
from mmfer.models.supervision import Part
from mmfer.models.supervision.branches import SemanticNeighbours
from mmfer.models.supervision.refiners import ReliabilityWeights
from mmfer.structures import SampleBank

SIDE = 8
AUTOENCODER = dict(type='mmfer.FaceAutoEncoder', size=16, latent_dim=8, channels=4, depth=1)
IN_MINUS_1_TO_1 = dict(mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5))


# --- a linear autoencoder and a linear classifier, whose neighbours can be written down ---


class LinearCodec(nn.Module):
    """E(x) = P x and G(z, s) = A z + b + s, with a note of what was decoded."""

    def __init__(self, dim=5, std=None):
        super().__init__()
        generator = torch.Generator().manual_seed(dim)
        self.encoder = nn.Parameter(torch.randn(3 * SIDE**2, dim, generator=generator, dtype=torch.float64) / SIDE)
        self.decoder = nn.Parameter(torch.randn(dim, 3 * SIDE**2, generator=generator, dtype=torch.float64) / SIDE)
        self.offset = nn.Parameter(torch.randn(3 * SIDE**2, generator=generator, dtype=torch.float64))
        self.register_buffer('latent_std', torch.ones(dim, dtype=torch.float64) if std is None else std.double())
        self.decoded: list = []

    def encode(self, x):
        return x.flatten(1) @ self.encoder

    def decode(self, z, noise):
        noise = torch.as_tensor(noise, dtype=z.dtype).expand(len(z))
        self.decoded.append((z.detach().clone(), noise.detach().clone()))
        return (z @ self.decoder + self.offset + noise[:, None]).view(-1, 3, SIDE, SIDE)


class Linear(FERClassifier):
    """Logits w.x of the pixels, after the two calls that a step makes."""

    def __init__(self, classes=2, **normalisation):
        parts = network(classes)
        normalisation = dict(type='mmfer.FaceDataPreprocessor', size=SIDE, **(normalisation or IN_MINUS_1_TO_1))
        super().__init__(**parts, data_preprocessor=normalisation)
        self.backbone, self.neck = nn.Identity(), None
        self.head.fc = nn.Linear(3 * SIDE**2, classes)
        with torch.no_grad():
            self.head.fc.weight.normal_(generator=torch.Generator().manual_seed(8)).mul_(0.1)
            if classes == 2:  # one logit against 0
                self.head.fc.weight[1], self.head.fc.bias[1] = 0, 0
        self.double().eval()

    def extract_feat(self, inputs, stage='neck'):
        return (inputs.flatten(1),)


def neighbours_of(model, codec, rows=6, seed=0, **options):
    """Inputs, logits, neighbours' logits, and d in units of the latents' deviations."""
    inputs = torch.randn(rows, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    branch = SemanticNeighbours(autoencoder=codec, checkpoint=None, **options)
    logits = model.head(model.extract_feat(inputs))
    codec.decoded.clear()
    published = branch(model, inputs, logits)
    assert set(published) == {'neighbour_logits'} == set(branch.publishes)
    z = codec.encode(inputs).detach()
    change = max((decoded - z for decoded, _ in codec.decoded), key=lambda d: d.abs().max())
    return inputs, logits.detach(), published['neighbour_logits'], change


@pytest.mark.parametrize('kind', ['random', 'adversarial'])
def test_without_a_change_the_neighbour_is_the_face_itself(kind):
    model, codec = Linear(), LinearCodec(std=torch.zeros(5))
    _, logits, neighbours, change = neighbours_of(model, codec, kind=kind)
    assert change.abs().max() == 0
    assert_close(neighbours.detach(), logits, rtol=0, atol=0)
    assert NeighborhoodSmoothnessLoss()(logits, neighbours).abs().item() < 1e-12


@pytest.mark.parametrize('radius', [0.3, 2.0])
@pytest.mark.parametrize('std', [None, torch.tensor([0.2, 3.0, 1.0, 0.5, 2.0])])
def test_the_adversarial_change_of_a_linear_network_is_parallel_to_its_gradient(std, radius):
    model, codec = Linear(), LinearCodec(std=std)
    _, logits, neighbours, change = neighbours_of(model, codec, kind='adversarial', radius=radius)
    d = change / codec.latent_std
    assert_close(d.norm(dim=1), torch.full((6,), radius, dtype=torch.float64), rtol=1e-6, atol=0)
    slope = codec.latent_std * (codec.decoder.detach() @ model.head.fc.weight[0].detach())  # A^T w, per deviation
    assert_close(F.cosine_similarity(d, slope[None]).abs(), torch.ones(6, dtype=torch.float64), rtol=0, atol=1e-6)
    # No change of that length moves the logit further.
    moved = (neighbours - logits)[:, 0].detach().abs()
    assert_close(moved, (radius * slope.norm()).expand(6), rtol=1e-6, atol=1e-9)
    assert_close(neighbours[:, 1].detach(), logits[:, 1], rtol=0, atol=1e-12)


def test_the_neighbour_is_the_face_plus_the_difference_of_two_drawings():
    model, codec = Linear(classes=3), LinearCodec()
    for kind in ('random', 'adversarial'):
        inputs, _, neighbours, change = neighbours_of(model, codec, kind=kind)
        changed = inputs + (change @ codec.decoder.detach()).view_as(inputs)
        assert_close(neighbours.detach(), model.head(model.extract_feat(changed)).detach(), rtol=1e-9, atol=1e-9)


class HalfCodec(LinearCodec):
    """Draws the three latents into 4 x 4 pixels; faces may have any size."""

    def __init__(self):
        super().__init__(3)
        self.pattern = torch.randn(3, 4, 4, generator=torch.Generator().manual_seed(6), dtype=torch.float64)

    def encode(self, x):
        return x.mean((2, 3))

    def decode(self, z, noise):
        self.decoded.append((z.detach().clone(), noise))
        return z[:, :, None, None] * self.pattern


def test_the_difference_of_small_drawings_is_drawn_large():
    class Shapeless(Linear):
        def extract_feat(self, inputs, stage='neck'):
            return (inputs[:, :, :, : 2 * SIDE : 2].flatten(1),)  # a face of 8 x 16, every other column

    model, codec = Shapeless(classes=3), HalfCodec()
    inputs = torch.randn(4, 3, SIDE, 2 * SIDE, dtype=torch.float64)
    branch = SemanticNeighbours(autoencoder=codec, checkpoint=None, kind='random')
    neighbours = branch(model, inputs, model.head(model.extract_feat(inputs)))['neighbour_logits']
    z = codec.encode(inputs)
    change = max((decoded - z for decoded, _ in codec.decoded), key=lambda d: d.abs().max())
    small = change[:, :, None, None] * codec.pattern
    changed = inputs + F.interpolate(small, (SIDE, 2 * SIDE), mode='bilinear', align_corners=False)
    assert_close(neighbours.detach(), model.head(model.extract_feat(changed)).detach(), rtol=1e-9, atol=1e-9)
    assert change.abs().max() > 0.1


def test_the_faces_are_changed_by_the_same_whatever_the_classifiers_normalisation():
    codec = LinearCodec(classes := 5)
    other = dict(mean=(0.4, 0.5, 0.6), std=(0.2, 0.3, 0.4))
    model, scaled = Linear(classes), Linear(classes, **other)
    mean, std = (torch.tensor(other[key], dtype=torch.float64).view(3, 1, 1) for key in ('mean', 'std'))
    seen = []
    for network_, normalise in ((model, lambda x: x), (scaled, lambda x: ((x + 1) / 2 - mean) / std)):
        plain = torch.rand(4, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(2), dtype=torch.float64) * 2 - 1
        inputs = normalise(plain)
        branch = SemanticNeighbours(autoencoder=codec, checkpoint=None, kind='random')
        torch.manual_seed(5)
        codec.decoded.clear()
        given = branch(network_, inputs, network_.head(network_.extract_feat(inputs)))['neighbour_logits']
        z = codec.encode(plain).detach()
        change = max((decoded - z for decoded, _ in codec.decoded), key=lambda d: d.abs().max())
        expected = normalise(plain + (change @ codec.decoder.detach()).view_as(plain))
        # The preprocessor holds its mean and deviation in float32.
        assert_close(given, network_.head(network_.extract_feat(expected)), rtol=1e-5, atol=1e-5)
        seen.append(change)
    assert_close(seen[0], seen[1], rtol=1e-5, atol=1e-5)
    assert seen[0].abs().max() > 0.1


@pytest.mark.parametrize('most', [0.5, 2.0])
def test_a_random_change_is_normal_with_a_strength_of_the_faces_own_which_the_decoder_is_told(most):
    std = torch.linspace(0.5, 2, 3000, dtype=torch.float64)
    model, codec = Linear(), LinearCodec(3000, std)
    options = {} if most == 0.5 else dict(max_noise=most)
    _, _, _, change = neighbours_of(model, codec, rows=64, kind='random', **options)
    (_, first), (_, second) = codec.decoded
    assert first.tolist() == second.tolist()  # both drawings are of one strength
    strength = (change / std).std(1)
    assert_close(strength, first, rtol=0.08, atol=1e-6)
    assert (change / std).mean().abs() < 0.01
    assert 0 <= first.min() < 0.1 * most
    assert 0.9 * most < first.max() <= most
    assert abs(first.mean().item() / most - 0.5) < 0.15  # uniform: 4 deviations of its mean


def test_two_steps_draw_different_changes():
    codec = LinearCodec()
    changes = [neighbours_of(Linear(), codec, kind='random')[3] for _ in range(2)]
    assert (changes[0] - changes[1]).abs().max() > 0.01


def test_a_network_that_predicts_the_same_for_all_has_finite_neighbours():
    model = Linear()
    with torch.no_grad():
        model.head.fc.weight.zero_()
    _, logits, neighbours, _ = neighbours_of(model, LinearCodec(), kind='adversarial')
    assert_close(neighbours.detach(), logits, rtol=0, atol=0)


@pytest.mark.parametrize('kind', ['random', 'adversarial'])
def test_the_gradient_goes_through_the_neighbours_prediction_alone(kind):
    model, codec = Linear(classes=3), LinearCodec()
    inputs = torch.randn(4, 3, SIDE, SIDE, dtype=torch.float64)
    logits = model.head(model.extract_feat(inputs))
    branch = SemanticNeighbours(autoencoder=codec, checkpoint=None, kind=kind)
    codec.decoded.clear()
    neighbours = branch(model, inputs, logits)['neighbour_logits']
    assert all(p.grad is None for p in (*model.parameters(), *codec.parameters()))  # no backward() inside
    NeighborhoodSmoothnessLoss()(logits, neighbours).backward()
    z = codec.encode(inputs).detach()
    change = max((decoded - z for decoded, _ in codec.decoded), key=lambda d: d.abs().max())
    changed = (inputs + (change @ codec.decoder.detach()).view_as(inputs)).flatten(1)
    p, q = logits.detach().softmax(1), neighbours.detach().softmax(1)
    assert_close(model.head.fc.weight.grad, (q - p).T @ changed / 4, rtol=1e-6, atol=1e-9)
    assert all(p.grad is None for p in codec.parameters())


# --- smoothness loss ---


def test_a_binary_logit_of_0_against_1_costs_what_the_page_says():
    p, q = torch.zeros(3, 2, dtype=torch.float64), torch.tensor([[1.0, 0.0]] * 3, dtype=torch.float64)
    assert_close(NeighborhoodSmoothnessLoss()(p, q).item(), 0.120114, rtol=0, atol=1e-6)
    assert_close(NeighborhoodSmoothnessLoss(loss_weight=0.5)(p, q).item(), 0.060057, rtol=0, atol=1e-6)
    mixed = torch.cat([p[:1], p[:1], p[:1]]), torch.cat([q[:1], p[:1], p[:1]])
    assert_close(NeighborhoodSmoothnessLoss()(*mixed).item(), 0.120114 / 3, rtol=0, atol=1e-6)  # all faces count


def test_the_faces_own_prediction_is_held():
    p, q = (torch.randn(4, 3, dtype=torch.float64, requires_grad=True) for _ in range(2))
    NeighborhoodSmoothnessLoss()(p, q).backward()
    assert p.grad is None
    assert_close(q.grad, (q.softmax(1) - p.softmax(1)).detach() / 4, rtol=1e-9, atol=1e-12)
    fixed = p.detach()
    assert torch.autograd.gradcheck(lambda q: NeighborhoodSmoothnessLoss()(fixed, q), q)


def test_weights_of_1_and_0_are_the_cross_entropy_of_the_first_sample():
    logits, label = torch.randn(2, 3, dtype=torch.float64), torch.tensor([2, 1])
    weight = torch.tensor([1.0, 0.0], dtype=torch.float64)
    assert_close(CrossEntropyLoss()(logits, label, weight), F.cross_entropy(logits[:1], label[:1]), rtol=0, atol=1e-12)


# --- reliability ---


def shannon(p, q) -> float:
    """Jensen-Shannon divergence of two rows of logits as a share of ln 2, with Python numbers."""
    p, q = ([math.exp(v) / sum(map(math.exp, row)) for v in row] for row in (p.tolist(), q.tolist()))
    terms = [(a * math.log(2 * a / (a + b)) + b * math.log(2 * b / (a + b))) / 2 for a, b in zip(p, q, strict=True)]
    return sum(terms) / math.log(2)


class Reliability:
    """A refiner with its bank; each visit is one step of training."""

    def __init__(self, labels, instability=None, classes=3, **options):
        self.refiner, self.bank, self.labels = ReliabilityWeights(**options), SampleBank(), torch.as_tensor(labels)
        self.bank.declare(self.refiner.bank_columns(), 'reliability')
        self.bank.allocate(self.labels, classes)
        if instability is not None:
            self.bank.stage('instability', torch.arange(len(self.labels)), torch.as_tensor(instability).float())
            self.bank.commit()

    def visit(self, logits, neighbours, index=None, epoch=5, weight=None):
        index = torch.arange(len(logits)) if index is None else torch.as_tensor(index)
        weight = torch.ones(len(logits)) if weight is None else weight
        published = self.refiner(
            logits,
            neighbours,
            self.labels[index],
            self.labels[index],
            weight,
            index,
            epoch,
            self.bank,
            lambda **_: None,
        )
        assert set(published) == {'weight'} == set(self.refiner.publishes)
        self.bank.commit()
        return published['weight']


def settled(rows, classes=3, seed=0):
    """Random predictions, and an instability that another visit with them leaves as it is."""
    generator = torch.Generator().manual_seed(seed)
    p, q = 1.5 * torch.randn(2, rows, classes, generator=generator)
    return p, q, torch.tensor([shannon(*row) for row in zip(p, q, strict=True)])


def expected_weights(p, q, labels, instability, fraction=0.1, floor=0.1, temperature=0.1):
    weights = []
    for i, label in enumerate(labels.tolist()):
        alike = [u for u, other in zip(instability.tolist(), labels.tolist(), strict=True) if other == label]
        top = sorted(alike, reverse=True)[: round(fraction * len(alike))]
        mean = p[i].softmax(0) + q[i].softmax(0)
        unreliable = instability[i].item() in top and mean.argmax().item() != label
        weights.append(max(floor, math.exp(-instability[i].item() / temperature)) if unreliable else 1.0)
    return torch.tensor(weights)


def test_the_columns_start_at_0_and_1():
    reliability = Reliability([0, 1, 2])
    assert reliability.bank.column('instability').tolist() == [0, 0, 0]
    assert reliability.bank.column('reliability').tolist() == [1, 1, 1]


def test_instability_is_a_tenth_of_the_divergence_as_a_share_of_ln_2_and_nine_tenths_of_what_it_was():
    reliability = Reliability([0, 1, 0, 1], classes=2)
    p, q = torch.zeros(1, 2), torch.tensor([[1.0, 0.0]])
    page = 0.028535 / math.log(2)
    reliability.visit(p, q, index=[2], epoch=0)
    assert reliability.bank.column('instability').tolist() == pytest.approx([0, 0, 0.1 * page, 0], abs=1e-6)
    reliability.visit(p, q, index=[2], epoch=0)
    assert reliability.bank.column('instability')[2].item() == pytest.approx(0.19 * page, abs=1e-6)
    reliability.visit(p, p, index=[2], epoch=0)
    assert reliability.bank.column('instability')[2].item() == pytest.approx(0.171 * page, abs=1e-6)
    other = Reliability([0], classes=2, momentum=0.5)
    other.visit(p, q)
    assert other.bank.column('instability').item() == pytest.approx(0.5 * page, abs=1e-6)


@pytest.mark.parametrize('seed', range(4))
@pytest.mark.parametrize('options', [{}, dict(fraction=0.5), dict(fraction=0.3, floor=0.4, temperature=1.0)])
def test_the_weights_equal_the_rule_written_out(options, seed):
    labels = torch.tensor([0] * 20 + [1] * 10 + [2] * 30)[torch.randperm(60)]
    p, q, instability = settled(60, seed=seed)
    reliability = Reliability(labels, instability, **options)
    weights = reliability.visit(p, q)
    expected = expected_weights(p, q, labels, instability, **options)
    assert_close(reliability.bank.column('instability'), instability, rtol=1e-4, atol=1e-6)
    assert_close(weights, expected, rtol=1e-4, atol=1e-5)
    assert (expected < 1).any()
    assert_close(reliability.bank.column('reliability'), weights, rtol=0, atol=0)


def test_a_part_of_the_faces_is_judged_by_all_of_their_class():
    labels = torch.tensor([0, 1] * 20)
    p, q, instability = settled(40, seed=7)
    whole = expected_weights(p, q, labels, instability, fraction=0.3)
    seen = torch.ones(40)
    for index in torch.randperm(40).split([1, 7, 12, 20]):
        seen[index] = Reliability(labels, instability, fraction=0.3).visit(p[index], q[index], index)
    assert_close(seen, whole, rtol=1e-4, atol=1e-5)
    assert (whole < 1).sum() > 3


WRONG = torch.tensor([[0.0, 4.0, 0.0]]), torch.tensor([[0.0, 2.0, 1.0]])


def one_unstable(value=None, **options):
    """Ten faces of class 0, of which the first is unstable, and ten of class 1, unstable throughout."""
    u = shannon(WRONG[0][0], WRONG[1][0]) if value is None else value
    return Reliability([0] * 10 + [1] * 10, [u] + [0.001] * 9 + [0.9] * 10, **options), u


def test_the_least_stable_face_of_a_class_whose_label_is_contradicted_counts_less():
    reliability, u = one_unstable()
    assert 0.05 < u < 0.2
    assert reliability.visit(*WRONG).item() == pytest.approx(math.exp(-u / 0.1), rel=1e-4)
    assert reliability.bank.column('reliability')[0].item() == pytest.approx(math.exp(-u / 0.1), rel=1e-4)


def test_it_counts_in_full_if_both_predictions_together_agree_with_the_label():
    right = tuple(logits.roll(-1, 1) for logits in WRONG)
    assert one_unstable()[0].visit(*right).item() == 1
    # The face's own prediction is wrong, but the mean of both is right.
    p, q = torch.tensor([[1.0, 1.2, 0.0]]), torch.tensor([[6.0, 0.0, 0.0]])
    assert one_unstable(0.5)[0].visit(p, q).item() == 1
    assert one_unstable(0.5)[0].visit(q, p).item() == 1


def test_it_counts_in_full_if_it_is_among_the_stable_nine_tenths_of_its_class():
    reliability, _ = one_unstable()
    assert reliability.visit(WRONG[0], WRONG[0] + 0.01, index=[4]).item() == 1


def test_a_class_that_is_unstable_as_a_whole_is_not_thrown_out_as_a_whole():
    """By one ranking of all faces, class 1 would fill the top tenth, and class 0 would be spared."""
    labels = torch.tensor([0] * 10 + [1] * 10)
    instability = torch.cat([torch.linspace(0.01, 0.05, 10), torch.linspace(0.5, 0.9, 10)])
    # Predictions that do not diverge, so that instabilities shrink in step and keep their order.
    p = torch.tensor([[0.0, 0.0, 5.0]] * 20)
    weights = Reliability(labels, instability, temperature=1.0).visit(p, p.clone())
    assert (weights < 1).nonzero().flatten().tolist() == [9, 19]


@pytest.mark.parametrize(
    ('warmup', 'epoch', 'counts'),
    [(None, 0, True), (None, 4, True), (None, 5, False), (None, 50, False), (0, 0, False), (2, 1, True), (2, 2, False)],
)
def test_weights_fall_after_the_warm_up(warmup, epoch, counts):
    reliability, _ = one_unstable(**({} if warmup is None else dict(warmup=warmup)))
    assert (reliability.visit(*WRONG, epoch=epoch).item() == 1) == counts
    assert (reliability.bank.column('reliability')[0].item() == 1) == counts


def test_the_weight_has_a_floor():
    p, q = torch.tensor([[0.0, 20.0, 0.0]]), torch.tensor([[0.0, 0.0, 20.1]])
    assert one_unstable(1.0)[0].visit(p, q).item() == pytest.approx(0.1)
    assert one_unstable(1.0, floor=0.25)[0].visit(p, q).item() == pytest.approx(0.25)


def test_weights_of_other_methods_are_multiplied():
    for incoming in (2.0, 0.5, 0.0):
        reliability, u = one_unstable()
        p, q = (logits.repeat(2, 1) for logits in WRONG)
        weights = reliability.visit(p, q, index=[0, 4], weight=torch.full((2,), incoming))
        assert weights.tolist() == pytest.approx([incoming * math.exp(-u / 0.1), incoming], rel=1e-4)


def test_weights_carry_no_gradient():
    p, q, instability = settled(20)
    reliability = Reliability(torch.arange(20) % 2, instability, fraction=0.5)
    assert not reliability.visit(p.requires_grad_(), q.requires_grad_()).requires_grad
    assert not reliability.bank.column('instability').requires_grad


@pytest.mark.parametrize(
    'options', [dict(momentum=1.0), dict(fraction=1.5), dict(fraction=0.0), dict(floor=-0.1), dict(temperature=0.0)]
)
def test_settings_without_a_meaning_are_refused(options):
    (name,) = options
    with pytest.raises(ValueError, match=name):
        ReliabilityWeights(**options)


# --- in a classifier ---

KEPT: list = []


class Keep(Part):
    """A loss that notes what it is given."""

    def forward(self, logits, neighbour_logits, weight):
        KEPT.append((logits.detach().clone(), neighbour_logits.detach().clone(), weight.clone()))
        return 0 * neighbour_logits.sum()


def sna(smooth=1.0, keep=True, neighbours=None, **reliability):
    losses = dict(smooth=dict(type='mmfer.NeighborhoodSmoothnessLoss', loss_weight=smooth))
    if keep:
        losses['keep'] = dict(type=Keep)
    branch = dict(type='mmfer.SemanticNeighbours', autoencoder=AUTOENCODER, checkpoint=None) | (neighbours or {})
    return dict(
        cls=CE,
        sna=dict(
            branches=dict(neighbours=branch),
            losses=losses,
            refiners=dict(reliability=dict(type='mmfer.ReliabilityWeights', **reliability)),
        ),
    )


def sna_classifier(samples=12, **options):
    model = classifier(sna(**options), seed=1)
    if 'sna' in model.supervision.methods._modules:
        codec = autoencoder_of(model)
        with torch.no_grad():  # a random decoder draws nothing much
            codec.latent_std.fill_(5.0)
    model.supervision.bank.allocate(torch.arange(samples) % 3, 3)
    with torch.no_grad():
        model.head.fc.weight.mul_(30)
    return model.train()


def autoencoder_of(model):
    (codec,) = {id(m): m for m in model.supervision.modules() if hasattr(m, 'latent_std')}.values()
    return codec


def plain_classifier():
    model = classifier(dict(cls=CE), seed=1)
    with torch.no_grad():
        model.head.fc.weight.mul_(30)
    return model.train()


def network_state(model):
    return {name: value for name, value in model.state_dict().items() if not name.startswith('supervision.')}


@pytest.mark.parametrize('kind', ['random', 'adversarial'])
def test_without_smoothness_and_selection_it_is_plain_cross_entropy(kind):
    model, plain = sna_classifier(smooth=0.0, neighbours=dict(kind=kind)), plain_classifier()
    plain.load_state_dict(network_state(model))
    inputs, batch = faces(6)
    losses, expected = model.loss(inputs, batch), plain.loss(inputs, batch)
    assert losses['sna.smooth_loss'].item() == 0
    assert_close(losses['cls.ce_loss'], expected['cls.ce_loss'], rtol=0, atol=0)
    assert all(p.grad is None for p in model.parameters())
    total(losses).backward()
    total(expected).backward()
    theirs = dict(plain.named_parameters())
    for name, parameter in model.named_parameters():
        if name in theirs:
            assert_close(parameter.grad, theirs[name].grad, rtol=1e-5, atol=1e-7)
    for name, value in network_state(plain).items():  # batch-norm statistics
        assert_close(network_state(model)[name], value, rtol=0, atol=0)


@pytest.mark.parametrize('kind', ['random', 'adversarial'])
def test_the_perturbed_pass_leaves_batch_norm_and_autoencoder_as_they_were(kind):
    model, plain = sna_classifier(neighbours=dict(kind=kind)), plain_classifier()
    plain.load_state_dict(network_state(model))
    codec = autoencoder_of(model)
    before = {name: value.clone() for name, value in codec.state_dict().items()}
    inputs, batch = faces(6)
    KEPT.clear()
    losses = model.loss(inputs, batch)
    plain.loss(inputs, batch)
    ((logits, neighbours, _),) = KEPT
    assert (logits - neighbours).abs().max() > 1e-3  # there is something to unlearn
    total(losses).backward()
    model.supervision.commit()
    norms = [module for module in model.backbone.modules() if isinstance(module, _BatchNorm)]
    assert len(norms) == 20
    assert all(norm.num_batches_tracked == 1 for norm in norms)
    for name, value in network_state(plain).items():
        assert_close(network_state(model)[name], value, rtol=0, atol=0)
    for name, value in codec.state_dict().items():
        assert_close(value, before[name], rtol=0, atol=0)
    assert [name for name, p in codec.named_parameters() if p.grad is not None or p.requires_grad] == []
    assert not any(module.training for module in codec.modules())
    missing = [name for name, p in model.named_parameters() if p.requires_grad and p.grad is None]
    assert missing == []


def test_a_step_follows_the_page():
    model = sna_classifier(warmup=0, fraction=0.5, temperature=0.05)  # half of the 12 faces are in the batch
    with torch.no_grad():
        model.head.fc.weight.div_(10)  # predictions that are less certain
    inputs, batch = faces(6)
    remembered = torch.zeros(6)
    for epoch in range(3):  # faces are ranked once an epoch, those that have never been seen not at all
        MessageHub.get_current_instance().update_info('epoch', epoch)
        KEPT.clear()
        losses = model.loss(inputs, batch)
        model.supervision.commit()
        ((logits, neighbours, weight),) = KEPT
        before = remembered
        divergence = torch.tensor([shannon(*row) for row in zip(logits, neighbours, strict=True)])
        remembered = 0.9 * before + 0.1 * divergence
        assert_close(model.supervision.bank.column('instability')[:6], remembered, rtol=1e-3, atol=1e-6)
    p, q = logits.softmax(1), neighbours.softmax(1)
    assert_close(losses['sna.smooth_loss'], (p * (p / q).log()).sum(1).mean(), rtol=1e-4, atol=1e-6)
    contradicted = (p + q).argmax(1) != batch.label
    assert_close(weight, torch.where(contradicted, (-remembered / 0.05).exp().clamp_min(0.1), 1), rtol=1e-3, atol=1e-5)
    assert (weight < 0.9).any()
    assert not contradicted.all()
    assert_close(model.supervision.bank.column('reliability')[:6], weight, rtol=0, atol=0)
    ce = F.cross_entropy(logits, batch.label, reduction='none')
    assert_close(losses['cls.ce_loss'], (ce * weight).sum() / weight.sum(), rtol=1e-5, atol=1e-6)


def test_smoothness_ramps_from_nothing_to_all_in_five_epochs():
    model = sna_classifier(smooth=[(0, 0.0), (5, 1.0)], neighbours=dict(kind='adversarial'))
    model.eval()  # no statistics that move
    inputs, batch = faces(6)
    seen = []
    for epoch in (0, 1, 4, 5, 30):
        MessageHub.get_current_instance().update_info('epoch', epoch)
        torch.manual_seed(2)
        seen.append(model.loss(inputs, batch)['sna.smooth_loss'].item())
    assert seen[0] == 0
    assert [value / seen[-1] for value in seen] == pytest.approx([0, 0.2, 0.8, 1, 1], rel=1e-4)


def test_without_a_change_a_training_step_in_batch_statistics_has_no_smoothness_to_gain():
    model = sna_classifier(neighbours=dict(kind='random'))
    with torch.no_grad():
        autoencoder_of(model).latent_std.zero_()
    KEPT.clear()
    losses = model.loss(*faces(6))
    ((logits, neighbours, _),) = KEPT
    assert_close(neighbours, logits, rtol=0, atol=1e-5)
    assert losses['sna.smooth_loss'].abs().item() < 1e-6


def test_a_stronger_adversary_than_chance():
    """A random change of the same length moves the predictions less."""
    inputs, batch = faces(6)
    moved = {}
    for kind, options in (('adversarial', dict(radius=0.5)), ('random', dict(max_noise=2 * 0.5 / 8**0.5))):
        model = sna_classifier(neighbours=dict(kind=kind, **options)).eval()
        values = []
        for seed in range(5):
            torch.manual_seed(seed)
            values.append(model.loss(inputs, batch)['sna.smooth_loss'].item())
        moved[kind] = sum(values) / 5
    assert moved['adversarial'] > 1.5 * moved['random'] > 0


def test_a_kind_that_is_none_is_refused():
    with pytest.raises(ValueError, match='fgsm'):
        SemanticNeighbours(autoencoder=AUTOENCODER, checkpoint=None, kind='fgsm')


def test_weights_that_are_not_there_are_missed_when_a_run_begins_and_not_before(tmp_path):
    missing = str(tmp_path / 'autoencoder.pth')
    model = classifier(sna(neighbours=dict(checkpoint=missing)))
    with pytest.raises(FileNotFoundError, match='autoencoder.pth'):
        model.init_weights()
