"""Settings of parts that are numbers: what makes a method meaningless is refused when it is built, in one sentence."""

import sys

import pytest
from mmengine.registry import MODELS
from models.tiny import classifier

from mmfer.engine.hooks import AutoEncoderSheetHook
from mmfer.models.supervision import before_run
from mmfer.structures.ranges import check_range

NAN = float('nan')
REFUSED = {
    'LabelDistributionEstimation': [
        (dict(num_neighbours=0), 'num_neighbours must be a whole number, at least 1, got 0: a label is estimated from'),
        (dict(num_neighbours=-3), 'num_neighbours must be a whole number, at least 1, got -3'),
        (dict(num_neighbours=2.5), 'num_neighbours must be a whole number, at least 1, got 2.5'),
        (dict(num_neighbours='8x'), "num_neighbours must be a whole number, at least 1, got '8x'"),
        (dict(momentum=1), 'momentum must lie in [0, 1), got 1'),
        (dict(momentum=-0.1), 'momentum must lie in [0, 1), got -0.1'),
        (dict(confidence=1.1), 'confidence must be a number, at least 0 and at most 1, got 1.1'),
        (dict(confidence=NAN), 'confidence must be a number, at least 0 and at most 1, got nan'),
    ],
    'MarginRelabel': [
        (dict(margin=-0.1), 'margin must lie in [0, 1), got -0.1'),
        (dict(margin=1.0), 'margin must lie in [0, 1), got 1.0'),
        (dict(start_epoch=0), 'start_epoch is counted from 1, got 0'),
        (dict(start_epoch=2.5), 'start_epoch must be a whole number, at least 1, got 2.5'),
        (dict(ratio=1.0), 'ratio must lie between 0 and 1, got 1.0'),
    ],
    'ReliabilityWeights': [
        (dict(warmup=-1), 'warmup must be a whole number, at least 0, got -1: it is a number of epochs'),
        (dict(temperature=0), 'temperature must be positive, got 0'),
        (dict(temperature=NAN), 'temperature must be positive, got nan'),
        (dict(floor=1.5), 'floor must lie in [0, 1], got 1.5'),
        (dict(fraction=0), 'fraction must lie in (0, 1], got 0'),
    ],
    'MomentumKeys': [
        (dict(momentum=1.0), 'momentum must lie in [0, 1), got 1.0: at 1 the copy would never follow the network'),
        (dict(momentum=-0.1), 'momentum must lie in [0, 1), got -0.1'),
        (dict(queue_size=0), 'queue_size must be at least 1, got 0'),
        (dict(queue_size=10.5), 'queue_size must be a whole number, at least 1, got 10.5'),
        (dict(dim=0), 'dim must be a whole number, at least 1, got 0'),
    ],
    'LandmarkBranch': [
        (dict(num_landmarks=0), 'num_landmarks must be a whole number, at least 1, got 0'),
        (dict(channels=0), 'channels must be a whole number, at least 1, got 0'),
    ],
    'SemanticNeighbours': [
        (dict(max_noise=-1), 'max_noise must not be negative, got -1'),
        (dict(radius=NAN), 'radius must not be negative, got nan'),
        (dict(xi=0), 'xi must be positive, got 0'),
    ],
    'LandmarkHeatmapLoss': [
        (dict(sigma=0), 'sigma must be a number, above 0, got 0: it is the width of the Gaussians, in cells'),
        (dict(foreground_weight=-1), 'foreground_weight must be a number, at least 0, got -1'),
    ],
    'LandmarkContrastiveLoss': [
        (dict(temperature=0), 'temperature must be positive, got 0'),
        (dict(temperature=NAN), 'temperature must be positive, got nan'),
    ],
    'PrivilegedAttributionLoss': [(dict(sigma=0), 'sigma must be above 0, got 0')],
    'RankRegularizationLoss': [
        (dict(margin=1.0), 'margin must lie in [0, 1), got 1.0'),
        (dict(ratio=0), 'ratio must lie between 0 and 1, got 0'),
    ],
    'CrossEntropyLoss': [
        (dict(label_smoothing=1.0), 'label_smoothing must lie in [0, 1), got 1.0'),
        (dict(label_smoothing=-0.1), 'label_smoothing must lie in [0, 1), got -0.1'),
        (dict(class_weight=[1.0, -1.0]), 'class_weight must be numbers from 0, not all of them 0, got [1.0, -1.0]'),
        (dict(class_weight=[0.0, 0.0]), 'class_weight must be numbers from 0, not all of them 0'),
        (dict(class_weight=dict(fear=NAN)), 'class_weight must be numbers from 0'),
    ],
    'ARM': [
        (dict(upscale=0), 'in_channels=512 is no multiple of: set model.neck.upscale=1'),
        (dict(in_channels=0), 'ARM: in_channels must be a whole number, at least 1, got 0'),
        (dict(momentum=0), 'ARM(momentum=...) must lie in (0, 1], got 0'),
        (dict(map_size=0), 'ARM needs a map of at least 2 x 2 cells, map_size has 0'),
        (dict(stride=0), 'stride=0 does not carry'),
    ],
    'FaceAutoEncoder': [
        (dict(size=20), 'size must be divisible by 8, got 20'),
        (dict(latent_dim=0), 'FaceAutoEncoder: latent_dim must be a whole number, at least 1, got 0'),
        (dict(channels=0), 'FaceAutoEncoder: channels must be a whole number, at least 1, got 0'),
        (dict(depth=-1), 'FaceAutoEncoder: depth must be a whole number, at least 0, got -1'),
        (dict(max_noise=-0.5), 'FaceAutoEncoder: max_noise must be a number, at least 0, got -0.5'),
        (dict(latent_penalty=-1), 'FaceAutoEncoder: latent_penalty must be a number, at least 0, got -1'),
        (dict(momentum=0), 'FaceAutoEncoder: momentum must be a number, above 0 and at most 1, got 0'),
    ],
    'FaceDataPreprocessor': [
        (dict(size=0), 'data_preprocessor.size must be a whole number, at least 1, got 0'),
        (
            dict(mean=(123.675, 116.28, 103.53)),
            'data_preprocessor.mean must be a number, at least 0 and at most 1, got 1',
        ),
        (
            dict(std=(58.4, 57.1, 57.4)),
            'data_preprocessor.std must be a number, above 0 and at most 1, got 58.4: it is of',
        ),
        (dict(std=(0, 1, 1)), 'data_preprocessor.std must be a number, above 0 and at most 1, got 0'),
    ],
}
NEEDED = {'SemanticNeighbours': dict(autoencoder=dict(type='mmfer.FaceAutoEncoder', size=16, channels=4, latent_dim=4))}
CASES = [(name, settings, sentence) for name, cases in REFUSED.items() for settings, sentence in cases]


@pytest.mark.parametrize(('name', 'settings', 'sentence'), CASES, ids=[f'{n}-{s}' for n, s, _ in CASES])
def test_a_number_out_of_its_range_is_refused(name, settings, sentence):
    with pytest.raises(ValueError) as refused:  # noqa: PT011  the sentence follows
        MODELS.build({'type': f'mmfer.{name}', **NEEDED.get(name, {}), **settings})
    assert sentence in str(refused.value)


def test_pictures_of_an_autoencoder_need_a_change():
    with pytest.raises(ValueError, match=r'AutoEncoderSheetHook: noise must be a number, above 0, got 0'):
        AutoEncoderSheetHook(noise=0)


@pytest.mark.parametrize('weight', [-1, NAN, 'one', [(0, 0.0), (5, -1.0)]])
def test_the_weight_of_any_loss_is_a_number_from_0(weight):
    with pytest.raises(
        ValueError, match=r'^supervision\.cls\.losses\.ce\.loss_weight must be a number, at least 0, got '
    ):
        classifier(dict(cls=dict(losses=dict(ce=dict(type='mmfer.CrossEntropyLoss', loss_weight=weight)))))


def test_what_is_in_the_range_passes():
    for settings in (dict(least=0, most=1), dict(least=0), dict(most=0), dict(above=-1, below=1), dict(whole=True)):
        check_range('x', 0, **settings)
    for value in (True, None, '1', float('inf')):
        with pytest.raises(ValueError, match='x must be a number, at least 0, got'):
            check_range('x', value, 0)


# --- what only the run knows ---

LDE, SCN, SNA = (
    dict(embedding_dims=(4, 4), num_neighbours=8, type='mmfer.LabelDistributionEstimation'),
    dict(type='mmfer.MarginRelabel', start_epoch=10),
    dict(type='mmfer.ReliabilityWeights', warmup=5),
)


@pytest.mark.parametrize(
    ('part', 'faces', 'epochs', 'sentence'),
    [
        (LDE, 8, 12, 'num_neighbours=8 of LabelDistributionEstimation, but a face has 7 others in its batch of 8'),
        (LDE, 9, 12, None),
        (SCN, 8, 9, 'MarginRelabel begins in epoch 10, and the run has 9: no face is relabelled; set a smaller'),
        (SCN, 8, 10, None),
        (SNA, 8, 5, 'ReliabilityWeights never reduces a weight (warmup=5 of 5 epochs); set a smaller one'),
        (SNA, 8, 6, None),
        (SNA | dict(floor=1.0), 8, 6, 'ReliabilityWeights never reduces a weight (floor=1); set a smaller one'),
    ],
)
def test_what_never_begins_or_is_cut_short_is_said(part, faces, epochs, sentence, monkeypatch):
    built, said = MODELS.build(part), []
    monkeypatch.setattr(sys.modules[type(built).__module__], 'print_log', lambda text, **_: said.append(text))
    built.check_run(faces, epochs)
    assert len(said) == (sentence is not None)
    assert sentence is None or said[0].startswith(sentence)


def test_a_batch_of_one_face_is_refused_where_faces_are_compared():
    for part in (LDE, dict(type='mmfer.RankRegularizationLoss')):
        with pytest.raises(ValueError, match='which has one face: set a larger train_dataloader.batch_size'):
            MODELS.build(part).check_run(1, 5)


@pytest.mark.parametrize(('kind', 'setting'), [('random', 'max_noise'), ('adversarial', 'radius')])
def test_a_change_of_no_size_is_refused(kind, setting):
    part = dict(type='mmfer.SemanticNeighbours', kind=kind, **NEEDED['SemanticNeighbours'])
    MODELS.build(part).check_run(8, 5)
    with pytest.raises(ValueError, match=rf"kind='{kind}'\) with {setting}=0 changes no face.*set {setting} above 0"):
        MODELS.build(part | {setting: 0}).check_run(8, 5)


def test_a_schedule_that_stays_at_0_is_said(monkeypatch):
    said = []
    monkeypatch.setattr(before_run, 'print_log', lambda text, **_: said.append(text))
    ce = dict(type='mmfer.CrossEntropyLoss', loss_weight=[(5, 0.0), (6, 1.0)])
    model = classifier(dict(cls=dict(losses=dict(ce=ce))))
    before_run.check_run(model.supervision, 8, 7)
    assert said == []
    before_run.check_run(model.supervision, 8, 6)
    (text,) = said
    assert text.startswith('supervision.cls.losses.ce.loss_weight=[(5, 0.0), (6, 1.0)] is 0 in all 6 epochs of the run')
