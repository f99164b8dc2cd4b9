"""The device augments as a CPU does, given the same draws."""

from pathlib import Path

import pytest
import torch
from gpu.oracle import SameDraws, error
from miniature import face_points
from mmengine.config import Config

from mmfer.models import FaceDataPreprocessor
from mmfer.structures import FaceBatch

ROOT = Path(__file__).parents[2]
CONFIGS = ('lanet/r18_rafdb.py', 'arm/r18_rafdb.py')  # crops, jitter and erasing; one of a flip and noise
ROWS = 6


def augmented(config: str, device: str) -> tuple[torch.Tensor, FaceBatch]:
    settings = {**Config.fromfile(ROOT / 'configs' / config).data_preprocessor, 'size': 64}
    assert settings.pop('type') == 'mmfer.FaceDataPreprocessor'
    preprocessor = FaceDataPreprocessor(**settings).to(device)
    torch.manual_seed(0)
    images = torch.randint(0, 256, (ROWS, 3, 80, 80), dtype=torch.uint8)
    points = torch.from_numpy(face_points() * 80 - 0.5).expand(ROWS, -1, -1)
    batch = FaceBatch(
        label=torch.zeros(ROWS, dtype=torch.int64),
        sample_idx=torch.arange(ROWS),
        landmarks=points.clone(),
        landmark_valid=torch.ones(ROWS, dtype=torch.bool),
    )
    with SameDraws():
        out = preprocessor(dict(inputs=images, data_samples=batch), training=True)
    return out['inputs'], out['data_samples']


@pytest.mark.parametrize('config', CONFIGS)
def test_pictures_and_landmarks_are_those_of_a_cpu(config, device):
    images, batch = augmented(config, device)
    assert images.device.type == batch.landmarks.device.type == device
    expected, expected_batch = augmented(config, 'cpu')
    assert error(images.cpu().double(), expected.double()) < 1e-3
    assert (batch.landmarks.cpu() - expected_batch.landmarks).abs().max() < 0.01  # px
    assert not torch.equal(expected[0], expected[1])  # each face has draws of its own
