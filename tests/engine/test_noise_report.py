import numpy as np
import pytest
import torch

from mmfer.engine.hooks.noise_report import noise_figures

# Six faces, three classes: 0 right and believed; 1 mislabelled, mended; 2 mislabelled, mended wrongly; 3 mislabelled,
# not noticed; 4 right, but spoilt; 5 of unknown truth.
CLEAN = np.array([0, 1, 2, 0, 1, -1])
OBSERVED = np.array([0, 0, 0, 1, 1, 2])
BELIEVED = [0, 1, 1, 1, 2, 0]


def distribution(peak: float = 0.8) -> torch.Tensor:
    rest = (1 - peak) / 2
    return torch.nn.functional.one_hot(torch.tensor(BELIEVED), 3) * (peak - rest) + rest


def test_relabelling_is_counted_by_hand():
    figures = noise_figures(distribution(), OBSERVED, CLEAN)
    assert figures['distribution_top1'] == pytest.approx(100 * 2 / 5)
    assert figures['relabel_precision'] == pytest.approx(100 * 1 / 3)  # faces 1, 2, 4 contradict; 1 is right
    assert figures['relabel_recall'] == pytest.approx(100 * 1 / 3)  # faces 1, 2, 3 are mislabelled; 1 is mended
    assert figures['distribution_kl'] == pytest.approx(-(2 * np.log(0.8) + 3 * np.log(0.1)) / 5)


def test_the_divergence_is_from_the_true_distribution_where_it_is_known():
    estimated = distribution()
    figures = noise_figures(estimated, OBSERVED, CLEAN, estimated.numpy())
    assert figures['distribution_kl'] == pytest.approx(0, abs=1e-6)
    assert figures['distribution_top1'] == pytest.approx(100 * 2 / 5)


def test_without_a_contradiction_there_is_no_precision():
    sure = torch.eye(3)[torch.tensor([0, 1])].double()
    figures = noise_figures(sure, np.array([0, 1]), np.array([0, 1]))
    assert set(figures) == {'distribution_top1', 'distribution_kl'}
    assert figures['distribution_top1'] == 100
