"""What a run believes about labels, held against the truth where it is known."""

from __future__ import annotations

import numpy as np
import torch
from mmengine.hooks import Hook
from mmengine.runner import Runner
from torch import Tensor
from torch.nn.functional import one_hot

from mmfer.engine.supervision_of import supervision_of
from mmfer.registry import HOOKS

TRUST = ('importance', 'reliability')
"""Bank columns that say how much a face's label is to be trusted, of SCN and of SNA."""


_AT_ONCE = 100_000
"""Faces."""


@HOOKS.register_module()
class NoiseReportHook(Hook):
    """Holds what is remembered per sample against the clean labels.

    After every epoch it adds to the report of :class:`~mmfer.engine.hooks.protocol.ProtocolHook`, by bank column:

    - ``label_distribution``: ``distribution_top1`` (faces whose distribution peaks at the clean label),
      ``distribution_to_clean`` (of those whose distribution contradicts the observed label, the ones where it peaks at
      the clean one), ``distribution_mended`` (of the mislabelled faces, the ones where it does), in %;
      ``distribution_kl``, the mean KL divergence from the true distribution (SyntheticFaces know it; elsewhere all on
      the clean label), in nats.
    - ``relabelled``: ``relabelled`` (faces with another label than the observed one), ``relabel_to_clean`` (of these,
      the ones that got the clean label), ``relabel_mended`` (of the mislabelled faces, the ones that did), in %.
    - ``importance`` and ``reliability``: ``importance_right`` and ``importance_wrong``, the means over the rightly and
      the wrongly labelled faces; ``importance_auc``, how often, in %, a rightly labelled face has more of it than a
      wrongly labelled one (50 is chance).

    These are no recalls of a class (``recall/<class>`` of the metrics), nor the recall of finding wrong labels
    (tools/analysis_tools/noise_report.py), which asks only whether a wrong label is contradicted.

    Faces that training has not drawn yet have the values that their memory starts with. They are left out of
    ``distribution_top1``, ``distribution_kl`` and the figures of importance and reliability, and count as not mended;
    ``never_drawn`` is their share in %, where there are any. Where no clean label is known, only ``relabelled`` is
    reported; figures that would be 0 / 0 are left out.
    """

    priority = 'NORMAL'  # before ProtocolHook, which collects

    def after_train_epoch(self, runner: Runner) -> None:
        """Adds the figures of this epoch."""
        supervision = supervision_of(runner)
        if supervision is None or not supervision.bank.columns:
            return
        bank, dataset = supervision.bank, runner.train_dataloader.dataset
        columns = dict(getattr(dataset, 'columns', {}))
        if hasattr(dataset, 'get_clean_labels'):
            columns['clean_label'] = dataset.get_clean_labels()
        remembered = {name: bank.column(name).cpu() for name in bank.columns}
        for name, value in noise_figures(remembered, bank.labels.cpu(), columns, bank.seen.cpu()).items():
            runner.message_hub.update_scalar(f'val/{name}', value)


def noise_figures(
    remembered: dict[str, Tensor], observed: Tensor, columns: dict[str, np.ndarray], seen: Tensor | None = None
) -> dict[str, float]:
    """The figures of :class:`NoiseReportHook`.

    Args:
        remembered: Bank columns [N, ...].
        observed: Observed labels [N].
        columns: Of the dataset, where it has them: ``clean_label`` [N] (-1: unknown), ``true_distribution`` [N, K].
        seen: Which faces training has drawn, bool [N]. Defaults to None: all.
    """
    seen = torch.ones(len(observed), dtype=torch.bool) if seen is None else seen
    figures = {} if seen.all() else {'never_drawn': _percent(~seen)}
    if 'relabelled' in remembered:
        figures['relabelled'] = _percent(remembered['relabelled'] != observed)
    if 'clean_label' not in columns or (columns['clean_label'] < 0).all():
        return figures
    clean = torch.from_numpy(np.array(columns['clean_label']))
    known = clean >= 0
    if not known.all():  # else a copy of everything for nothing
        observed, clean, seen = observed[known], clean[known], seen[known]
        remembered = {name: column[known] for name, column in remembered.items()}
    if 'relabelled' in remembered:
        figures |= mended('relabel', remembered['relabelled'], observed, clean)
    if 'label_distribution' in remembered:
        truth = (
            torch.from_numpy(np.array(columns['true_distribution']))[known] if 'true_distribution' in columns else None
        )
        believed, divergence = beliefs(remembered['label_distribution'], clean, truth)
        if seen.any():
            figures['distribution_top1'] = _percent((believed == clean)[seen])
            figures['distribution_kl'] = divergence[seen].mean().item()
        figures |= mended('distribution', believed, observed, clean)
    for name in (name for name in TRUST if name in remembered):
        figures |= trust(name, remembered[name].double()[seen], (observed == clean)[seen])
    return figures


def beliefs(distribution: Tensor, clean: Tensor, truth: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """The class that each remembered distribution peaks at [N], and its KL divergence from the true one [N], in nats.

    Some rows at a time, as all of ten million faces take gigabytes in double precision.

    Args:
        distribution: [N, K].
        clean: Class ids [N]; all of the true distribution is on them where it is not given.
        truth: [N, K].
    """
    peaks, divergences = [], []
    for rows in torch.arange(len(clean)).split(_AT_ONCE):
        some = distribution[rows].double()
        true = one_hot(clean[rows], some.size(1)).double() if truth is None else truth[rows].double()
        peaks.append(some.argmax(1))
        divergences.append((torch.xlogy(true, true) - true * some.clamp_min(1e-12).log()).sum(1))
    return torch.cat(peaks), torch.cat(divergences)


def mended(name: str, believed: Tensor, observed: Tensor, clean: Tensor) -> dict[str, float]:
    """How many get the clean label, in %: of the faces with another one than observed, and of the mislabelled faces.

    Args:
        name: Put before both.
        believed: Class ids [N] that are held to be right.
        observed: Likewise, that were given.
        clean: Likewise, before noise was added.
    """
    right = believed == clean
    shares = {'to_clean': right[believed != observed], 'mended': right[observed != clean]}
    return {f'{name}_{figure}': _percent(faces) for figure, faces in shares.items() if len(faces)}


def trust(name: str, value: Tensor, right: Tensor) -> dict[str, float]:
    """Mean trust [N] in rightly and in wrongly labelled faces, and how well it tells them apart."""
    groups = {'right': value[right], 'wrong': value[~right]}
    figures = {f'{name}_{group}': values.mean().item() for group, values in groups.items() if len(values)}
    if len(figures) == 2:
        figures[f'{name}_auc'] = 100 * auroc(groups['right'], groups['wrong'])
    return figures


def auroc(higher: Tensor, lower: Tensor) -> float:
    """Share of pairs (one of each group) whose first value is the larger; equal ones count half."""
    lower = lower.sort().values
    below = torch.searchsorted(lower, higher), torch.searchsorted(lower, higher, right=True)
    return ((below[0] + below[1]).double() / 2).mean().item() / len(lower)


def _percent(yes: Tensor) -> float:
    return 100 * yes.double().mean().item()
