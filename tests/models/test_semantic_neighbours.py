"""Semantic neighbours around a real classifier: what they are, what they leave alone, and where weights come from."""

import pytest
import torch
import torch.nn.functional as F
from tiny import CE, ToyClassifier, classifier, faces, total
from torch import nn
from torch.testing import assert_close

from mmfer.functional import kl_from_logits
from mmfer.models.autoencoders import FaceAutoEncoder
from mmfer.models.supervision import frozen_buffers
from mmfer.models.supervision.branches import SemanticNeighbours
from mmfer.models.supervision.branches.semantic_neighbours import predict

SMALL = dict(type='mmfer.FaceAutoEncoder', size=16, latent_dim=8, channels=4, depth=1)


def sna(kind='random', selection=True, **options):
    refiners = dict(reliability=dict(type='mmfer.ReliabilityWeights', warmup=0)) if selection else {}
    return dict(
        branches=dict(neighbours=dict(type='mmfer.SemanticNeighbours', autoencoder=SMALL, kind=kind, **options)),
        refiners=refiners,
        losses=dict(smooth=dict(type='mmfer.NeighborhoodSmoothnessLoss')),
    )


def sna_classifier(kind='random', seed=0, samples=20, selection=True, **options):
    model = classifier(dict(cls=CE, sna=sna(kind, selection, **options)), seed=seed)
    model.supervision.bank.allocate(torch.arange(samples) % 3, 3)
    part = branch_of(model)
    with torch.no_grad():  # drawings that depend on the latents, of different spread
        part.autoencoder.latent_std.copy_(torch.linspace(0.5, 2, 8))
        part.autoencoder.decoder[0].weight.mul_(5)
    return model


def branch_of(model) -> SemanticNeighbours:
    return model.supervision.methods['sna']['branches']['neighbours']


KIND = pytest.mark.parametrize('kind', ['random', 'adversarial'])


# --- what a neighbour is ---


@KIND
def test_without_a_change_the_neighbour_is_the_face_and_the_smoothness_is_zero(kind):
    model = sna_classifier(kind, max_noise=0.0, radius=0.0)
    inputs, batch = faces()
    logits = predict(model, inputs)
    assert torch.equal(branch_of(model).neighbours(model, inputs, logits), inputs)
    losses = model.train().loss(inputs, batch)
    assert losses['sna.smooth_loss'].abs() < 1e-6
    assert losses['sna.instability'].abs() < 1e-6
    plain = classifier(dict(cls=CE))
    plain.load_state_dict(model.state_dict(), strict=False)
    assert_close(losses['cls.ce_loss'], plain.train().loss(inputs, batch)['cls.ce_loss'])


def test_random_changes_have_a_strength_of_their_own_for_each_face(monkeypatch):
    model = sna_classifier(max_noise=0.4).eval()
    part, (inputs, _) = branch_of(model), faces(400)
    seen = {}
    decode = part.autoencoder.decode

    def spy(z, noise):
        seen.setdefault('noise', noise)
        seen.setdefault('z', []).append(z)
        return decode(z, noise)

    monkeypatch.setattr(part.autoencoder, 'decode', spy)
    part.neighbours(model, inputs, None)
    noise = seen['noise']
    assert noise.shape == (400,)
    assert 0 <= noise.min() < 0.02 < 0.38 < noise.max() <= 0.4
    plain = part.autoencoder.encode((inputs * model.data_preprocessor.std + model.data_preprocessor.mean) * 2 - 1)
    change = next(z for z in seen['z'] if not torch.allclose(z, plain, atol=1e-4)) - plain
    unit = change / (noise[:, None] * part.autoencoder.latent_std)
    assert_close(unit.mean(), torch.tensor(0.0), rtol=0, atol=0.1)
    assert_close(unit.std(0), torch.ones(8), rtol=0, atol=0.15)


def test_adversarial_changes_have_the_radius_in_units_of_each_latents_spread(monkeypatch):
    model = sna_classifier('adversarial', radius=1.5).eval()
    part, (inputs, _) = branch_of(model), faces(5)
    seen = []
    decode = part.autoencoder.decode

    def spy(z, noise):
        seen.append((z.detach(), noise))
        return decode(z, noise)

    monkeypatch.setattr(part.autoencoder, 'decode', spy)
    part.neighbours(model, inputs, predict(model, inputs))
    plain = seen[0][0]
    length = ((seen[-1][0] - plain) / part.autoencoder.latent_std).norm(dim=1)
    assert_close(length, torch.full((5,), 1.5))
    probe = ((seen[1][0] - plain) / part.autoencoder.latent_std).norm(dim=1)
    assert_close(probe, torch.full((5,), 0.1 * 8**0.5), rtol=1e-3, atol=0)  # .1 a latent
    for _, noise in seen:  # a random change of that length has this strength
        assert_close(noise, torch.full((5,), 1.5 / 8**0.5))


def test_adversarial_changes_move_predictions_further_than_random_ones_of_the_same_length():
    model = sna_classifier('adversarial', radius=0.5).eval()
    part, (inputs, _) = branch_of(model), faces(32)
    with torch.no_grad():
        model.head.fc.weight.mul_(30)
        logits = predict(model, inputs)
        adverse = kl_from_logits(logits, predict(model, part.neighbours(model, inputs, logits)))
        part._adverse_direction = lambda model, around, *_: F.normalize(torch.randn_like(around.latents), dim=1)
        random = torch.stack(
            [kl_from_logits(logits, predict(model, part.neighbours(model, inputs, logits))) for _ in range(8)]
        )
    assert adverse.mean() > 2 * random.mean()


def test_the_direction_is_that_of_exact_derivatives():
    """Against the leading eigenvector of the divergence's Hessian, J^T (diag(p) - p p^T) J, times the start."""
    model = sna_classifier('adversarial', xi=1e-5).double().eval()
    part, (inputs, _) = branch_of(model), faces(4)
    inputs, std = inputs.double(), part.autoencoder.latent_std
    with torch.no_grad():
        model.head.fc.weight.mul_(30)
        logits = predict(model, inputs)
    from mmfer.models.autoencoders import Neighbourhood
    from mmfer.models.supervision.branches.semantic_neighbours import normalisation

    around = Neighbourhood(part.autoencoder, inputs, *normalisation(model))
    noise = torch.full((4,), 0.2, dtype=torch.float64)
    torch.manual_seed(5)
    direction = part._adverse_direction(model, around, logits, noise, around.drawn(noise))
    torch.manual_seed(5)
    start = F.normalize(torch.randn_like(around.latents), dim=1)
    jacobian = torch.autograd.functional.jacobian(
        lambda d: predict(model, around.changed(std * d, noise)), torch.zeros_like(start)
    )
    for row in range(4):
        j, p = jacobian[row, :, row], logits[row].softmax(0)
        expected = j.T @ (torch.diag(p) - torch.outer(p, p)) @ j @ start[row]
        assert F.cosine_similarity(direction[row], expected, dim=0) > 0.999


def test_a_network_that_does_not_look_is_left_without_a_change():
    model = sna_classifier('adversarial').eval()
    nn.init.zeros_(model.head.fc.weight)
    inputs, _ = faces(3)
    neighbours = branch_of(model).neighbours(model, inputs, predict(model, inputs))
    assert torch.equal(neighbours, inputs)


def test_the_change_does_not_depend_on_the_networks_normalisation():
    pixels = torch.rand(3, 3, 32, 32)
    seen = []
    for mean, std in (((0.5, 0.5, 0.5), (0.25, 0.25, 0.25)), ((0.54, 0.43, 0.38), (0.25, 0.22, 0.21))):
        preprocessor = dict(type='mmfer.FaceDataPreprocessor', size=32, mean=mean, std=std)
        model = sna_classifier().eval()
        model.data_preprocessor = type(model)(**_network(), data_preprocessor=preprocessor).data_preprocessor
        mean, std = model.data_preprocessor.mean, model.data_preprocessor.std
        torch.manual_seed(1)
        neighbours = branch_of(model).neighbours(model, (pixels - mean) / std, None)
        seen.append(neighbours * std + mean)
    assert_close(seen[0], seen[1], rtol=0, atol=1e-5)
    assert (seen[0] - pixels).abs().max() > 0.01


def _network():
    from tiny import network

    return network()


# --- what is left alone ---


@KIND
def test_gradients_reach_the_network_through_the_neighbours_prediction_alone(kind):
    model = sna_classifier(kind, selection=False).train()
    inputs, batch = faces()
    model.zero_grad()
    with frozen_buffers(model):
        torch.manual_seed(2)
        logits = predict(model, inputs)
        neighbours = branch_of(model).neighbours(model, inputs, logits)
        assert not neighbours.requires_grad
        kl_from_logits(logits.detach(), predict(model, neighbours)).mean().backward()
    expected = {name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None}
    model.zero_grad()
    torch.manual_seed(2)
    model.loss(inputs, batch)['sna.smooth_loss'].backward()
    seen = {name: p.grad for name, p in model.named_parameters() if p.grad is not None}
    assert set(seen) == set(expected) == {name for name, p in model.named_parameters() if p.requires_grad}
    for name, gradient in expected.items():
        assert_close(seen[name], gradient, rtol=1e-4, atol=1e-6)
    assert any(gradient.abs().max() > 1e-6 for gradient in seen.values())


@KIND
def test_finding_neighbours_leaves_gradients_as_they_were(kind):
    model = sna_classifier(kind).train()
    inputs, _ = faces()
    for parameter in model.parameters():
        parameter.grad = torch.full_like(parameter, 7.0)
    with frozen_buffers(model):
        branch_of(model).neighbours(model, inputs, predict(model, inputs))
    assert all((parameter.grad == 7).all() for parameter in model.parameters())


@KIND
def test_the_autoencoder_is_no_part_of_what_learns(kind):
    model = sna_classifier(kind).train()
    auto = branch_of(model).autoencoder
    assert model.training
    assert branch_of(model).training
    assert not any(module.training for module in auto.modules())
    before = {key: value.clone() for key, value in auto.state_dict().items()}
    inputs, batch = faces()
    total(model.loss(inputs, batch)).backward()
    assert all(parameter.grad is None and not parameter.requires_grad for parameter in auto.parameters())
    assert all(torch.equal(value, before[key]) for key, value in auto.state_dict().items())
    assert not any(module.training for module in model.eval().modules())


@KIND
def test_statistics_and_taps_see_the_face_only(kind):
    plain, inputs_and_batch = classifier(dict(cls=CE)).train(), faces()
    model = sna_classifier(kind).train()
    plain.load_state_dict(model.state_dict(), strict=False)
    plain.loss(*inputs_and_batch)
    losses = model.loss(*inputs_and_batch)
    network = {key: value for key, value in model.state_dict().items() if not key.startswith('supervision.')}
    assert all(torch.equal(value, plain.state_dict()[key]) for key, value in network.items())
    assert model.backbone.bn1.running_mean.abs().max() > 0
    total(losses).backward()  # buffers have been put back behind autograd's back


def test_a_seed_says_which_neighbours():
    model = sna_classifier().eval()
    inputs, _ = faces()

    def draw(seed):
        torch.manual_seed(seed)
        return branch_of(model).neighbours(model, inputs, None)

    assert torch.equal(draw(1), draw(1))
    assert not torch.equal(draw(1), draw(2))


@KIND
def test_mixed_precision_gives_numbers_and_nearly_the_same_neighbours(kind):
    model = sna_classifier(kind, seed=4).train()
    inputs, batch = faces(16)

    def run():
        torch.manual_seed(0)
        with frozen_buffers(model):
            return branch_of(model).neighbours(model, inputs, predict(model, inputs)) - inputs

    plain = run()
    with torch.autocast('cpu', dtype=torch.bfloat16):
        half = run()
        losses = model.loss(inputs, batch)
    total(losses).backward()
    assert all(value.isfinite() for value in losses.values())
    assert half.dtype == torch.float32
    alike = F.cosine_similarity(half.flatten(1), plain.flatten(1), dim=1)
    assert alike.mean() > (0.999 if kind == 'random' else 0.7)


# --- configuration ---


@pytest.mark.parametrize(
    ('options', 'sentence'),
    [
        (dict(kind='worst'), "kind must be one of random, adversarial, got 'worst'"),
        (dict(max_noise=-1), 'max_noise must not be negative, got -1'),
        (dict(radius=-0.1), 'radius must not be negative, got -0.1'),
        (dict(xi=0.0), 'xi must be positive, got 0.0; at 0 the gradient vanishes'),
    ],
)
def test_nonsense_is_refused(options, sentence):
    with pytest.raises(ValueError, match=sentence):
        SemanticNeighbours(SMALL, **options)


def test_a_network_of_unknown_normalisation_is_refused_when_it_is_built():
    from mmfer.models.classifiers import FERClassifier

    methods = dict(cls=CE, sna=sna())
    with pytest.raises(
        ValueError,
        match='does not know what ClsDataPreprocessor makes of pixels: set '
        'data_preprocessor.type="mmfer.FaceDataPreprocessor"',
    ):
        FERClassifier(**_network(), supervision=methods)
    with pytest.raises(ValueError, match='draws RGB faces: set data_preprocessor.to_rgb=True'):
        FERClassifier(
            **_network(), supervision=methods, data_preprocessor=dict(type='mmfer.FaceDataPreprocessor', to_rgb=False)
        )


def test_a_bare_network_takes_faces_as_the_autoencoder_does():
    torch.manual_seed(0)
    auto = FaceAutoEncoder(size=16, latent_dim=8, channels=4, depth=1)
    part, model = SemanticNeighbours(auto, kind='adversarial').train(), ToyClassifier()
    inputs = torch.randn(3, 3, 16, 16)
    logits = predict(model, inputs)
    published = part(model, inputs, logits)['neighbour_logits']
    assert published.shape == (3, 3)
    assert published.requires_grad
    assert not auto.training


# --- weights ---


def test_weights_are_read_when_a_run_begins_not_when_the_model_is_built(tmp_path):
    torch.manual_seed(7)
    trained = FaceAutoEncoder(**{k: v for k, v in SMALL.items() if k != 'type'})
    path = tmp_path / 'autoencoder_toy.pth'
    model = sna_classifier(checkpoint=str(path))  # no file yet: a model that is tested needs none
    with pytest.raises(FileNotFoundError, match='autoencoder_toy.pth is missing: SNA changes faces with an auto'):
        model.init_weights()
    torch.save(dict(state_dict=trained.state_dict()), path)
    model = sna_classifier(checkpoint=str(path))
    model.init_weights()
    for key, value in branch_of(model).autoencoder.state_dict().items():
        assert torch.equal(value, trained.state_dict()[key])


def test_weights_travel_in_checkpoints_of_training_and_not_in_exports(tmp_path):
    from mmfer.apis.export import export_deployed

    model, other = sna_classifier(seed=1), sna_classifier(seed=2)
    keys = [key for key in model.state_dict() if 'neighbours.autoencoder.' in key]
    assert len(keys) > 20
    other.load_state_dict(model.state_dict())
    assert all(torch.equal(other.state_dict()[key], model.state_dict()[key]) for key in keys)
    torch.save(dict(state_dict=model.state_dict(), meta={}), tmp_path / 'run.pth')
    report = export_deployed(tmp_path / 'run.pth', tmp_path / 'deployed.pth')
    assert report.dropped['supervision'] >= len(keys)
    deployed = torch.load(tmp_path / 'deployed.pth', weights_only=True)['state_dict']
    assert not any('autoencoder' in key for key in deployed)
