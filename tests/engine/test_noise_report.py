"""NoiseReportHook: what is remembered per sample against the clean labels, counted by hand."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from mmengine.logging import MessageHub
from torch.nn.functional import one_hot

from mmfer.engine.hooks import NoiseReportHook
from mmfer.engine.hooks.noise_report import auroc, noise_figures
from mmfer.structures import Column, SampleBank

# Six faces, three classes: 0 right and believed; 1 mislabelled, mended; 2 mislabelled, mended wrongly; 3 mislabelled,
# not noticed; 4 right, but spoilt; 5 of unknown truth.
CLEAN = np.array([0, 1, 2, 0, 1, -1])
OBSERVED = torch.tensor([0, 0, 0, 1, 1, 2])
BELIEVED = torch.tensor([0, 1, 1, 1, 2, 0])
COLUMNS = dict(clean_label=CLEAN)


def distribution(peak: float = 0.8) -> torch.Tensor:
    rest = (1 - peak) / 2
    return one_hot(BELIEVED, 3) * (peak - rest) + rest


@pytest.mark.parametrize(
    ('column', 'values', 'name'),
    [('label_distribution', distribution(), 'distribution'), ('relabelled', BELIEVED, 'relabel')],
)
@pytest.mark.parametrize('at_once', [100_000, 2])
def test_mended_labels_are_counted_by_hand(column, values, name, at_once, monkeypatch):
    monkeypatch.setattr('mmfer.engine.hooks.noise_report._AT_ONCE', at_once)
    figures = noise_figures({column: values}, OBSERVED, COLUMNS)
    assert figures[f'{name}_to_clean'] == pytest.approx(100 * 1 / 3)  # faces 1, 2, 4 contradict; 1 is right
    assert figures[f'{name}_mended'] == pytest.approx(100 * 1 / 3)  # faces 1, 2, 3 are mislabelled; 1 is mended


def test_relabelled_faces_count_also_where_the_truth_is_unknown():
    assert noise_figures({'relabelled': BELIEVED}, OBSERVED, COLUMNS)['relabelled'] == pytest.approx(100 * 4 / 6)
    assert noise_figures({'relabelled': BELIEVED}, OBSERVED, {}) == {'relabelled': pytest.approx(100 * 4 / 6)}


def test_both_memories_have_figures_of_their_own():
    figures = noise_figures({'relabelled': OBSERVED.clone(), 'label_distribution': distribution()}, OBSERVED, COLUMNS)
    assert set(figures) == {
        'relabelled',
        'relabel_mended',
        'distribution_top1',
        'distribution_kl',
        'distribution_to_clean',
        'distribution_mended',
    }
    assert (figures['relabelled'], figures['relabel_mended']) == (0, 0)
    assert figures['distribution_mended'] > 0


def test_the_divergence_is_from_the_clean_label_or_from_the_true_distribution_where_it_is_known():
    estimated = distribution()
    figures = noise_figures({'label_distribution': estimated}, OBSERVED, COLUMNS)
    assert figures['distribution_top1'] == pytest.approx(100 * 2 / 5)
    assert figures['distribution_kl'] == pytest.approx(-(2 * np.log(0.8) + 3 * np.log(0.1)) / 5)
    figures = noise_figures(
        {'label_distribution': estimated}, OBSERVED, COLUMNS | dict(true_distribution=estimated.numpy())
    )
    assert figures['distribution_kl'] == pytest.approx(0, abs=1e-6)
    assert figures['distribution_top1'] == pytest.approx(100 * 2 / 5)


def test_faces_that_were_never_drawn_have_no_trust_and_no_distribution():
    """Faces 0 and 3 are where they began: one right and one wrong, both wholly trusted."""
    seen = torch.tensor([False, True, True, False, True, True])
    values = torch.tensor([1.0, 0.2, 0.4, 1.0, 0.6, 0.9])
    figures = noise_figures({'importance': values}, OBSERVED, COLUMNS, seen)
    assert figures['never_drawn'] == pytest.approx(100 / 3)
    assert figures['importance_right'] == pytest.approx(0.6)  # face 4
    assert figures['importance_wrong'] == pytest.approx(0.3)  # faces 1 and 2
    assert figures['importance_auc'] == 100
    estimated = torch.where(seen[:, None], distribution(), one_hot(OBSERVED, 3).float())
    figures = noise_figures({'label_distribution': estimated}, OBSERVED, COLUMNS, seen)
    assert figures['distribution_top1'] == pytest.approx(100 / 3)  # of faces 1, 2 and 4 the first
    assert figures['distribution_mended'] == pytest.approx(100 / 3)  # of faces 1, 2 and 3 the first
    assert 'never_drawn' not in noise_figures({'importance': values}, OBSERVED, COLUMNS)
    none = noise_figures({'importance': values, 'label_distribution': estimated}, OBSERVED, COLUMNS, ~(seen | ~seen))
    assert set(none) == {'never_drawn', 'distribution_to_clean', 'distribution_mended'}


def test_without_a_contradiction_there_is_no_share_of_it():
    sure, labels = torch.eye(3)[torch.tensor([0, 1])], torch.tensor([0, 1])
    figures = noise_figures({'label_distribution': sure}, labels, dict(clean_label=np.array([0, 1])))
    assert set(figures) == {'distribution_top1', 'distribution_kl'}
    assert figures['distribution_top1'] == 100


@pytest.mark.parametrize('name', ['importance', 'reliability'])
def test_trust_in_rightly_and_wrongly_labelled_faces(name):
    trust = torch.tensor([0.9, 0.2, 0.4, 0.6, 0.4, 0.99])  # right: 0, 4; wrong: 1, 2, 3; unknown: 5
    figures = noise_figures({name: trust}, OBSERVED, COLUMNS)
    # Pairs: .9 beats all three; .4 beats .2, ties with .4, loses to .6.
    assert figures == {
        f'{name}_right': pytest.approx(0.65),
        f'{name}_wrong': pytest.approx(0.4),
        f'{name}_auc': pytest.approx(100 * 4.5 / 6),
    }


def test_where_no_label_is_wrong_trust_tells_nothing_apart():
    figures = noise_figures(
        {'importance': torch.tensor([0.5, 0.7])}, torch.tensor([0, 1]), dict(clean_label=np.array([0, 1]))
    )
    assert figures == {'importance_right': pytest.approx(0.6)}
    assert noise_figures({'importance': torch.tensor([0.5, 0.7])}, torch.tensor([0, 1]), {}) == {}


def test_auroc_is_the_share_of_pairs_in_order():
    generator = torch.Generator().manual_seed(0)
    higher = torch.randint(0, 6, (40,), generator=generator).double()
    lower = torch.randint(0, 5, (30,), generator=generator).double()
    pairs = (higher[:, None] > lower).double() + 0.5 * (higher[:, None] == lower)
    assert auroc(higher, lower) == pytest.approx(pairs.mean().item())
    assert auroc(higher + 10, lower) == 1
    assert auroc(lower, lower) == pytest.approx(0.5)


def test_the_hook_reports_after_an_epoch_and_leaves_others_alone():
    bank = SampleBank()
    bank.declare({'relabelled': Column(dtype=torch.int64, start='label')}, 'here')
    bank.allocate(OBSERVED, 3)
    bank.stage('relabelled', torch.arange(6), BELIEVED)
    bank.commit()
    hub = MessageHub.get_instance('noise_report')

    def runner(**model):
        dataset = SimpleNamespace(columns=COLUMNS | dict(label=OBSERVED.numpy()))
        return SimpleNamespace(
            model=SimpleNamespace(**model), message_hub=hub, train_dataloader=SimpleNamespace(dataset=dataset)
        )

    NoiseReportHook().after_train_epoch(runner())
    NoiseReportHook().after_train_epoch(runner(supervision=None))
    NoiseReportHook().after_train_epoch(runner(supervision=SimpleNamespace(bank=SampleBank())))
    assert dict(hub.log_scalars) == {}
    NoiseReportHook().after_train_epoch(runner(supervision=SimpleNamespace(bank=bank)))
    assert hub.get_scalar('val/relabel_mended').current() == pytest.approx(100 / 3)
    assert set(hub.log_scalars) == {f'val/{name}' for name in ('relabelled', 'relabel_to_clean', 'relabel_mended')}


def test_a_dataset_says_itself_what_the_clean_labels_are():
    """So that a ConcatFaces, which has no columns, is reported on."""
    bank = SampleBank()
    bank.declare({'relabelled': Column(dtype=torch.int64, start='label')}, 'here')
    bank.allocate(OBSERVED, 3)
    dataset = SimpleNamespace(get_clean_labels=lambda: COLUMNS['clean_label'])
    hub = MessageHub.get_instance('noise_report_of_several')
    NoiseReportHook().after_train_epoch(
        SimpleNamespace(
            model=SimpleNamespace(supervision=SimpleNamespace(bank=bank)),
            message_hub=hub,
            train_dataloader=SimpleNamespace(dataset=dataset),
        )
    )
    assert hub.get_scalar('val/relabel_mended').current() == 0
