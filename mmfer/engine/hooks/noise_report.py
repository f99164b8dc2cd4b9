"""What a run believes about labels that are known to be noisy."""

import numpy as np
import torch
from mmengine.hooks import Hook
from mmengine.runner import Runner

from mmfer.engine.hooks.sample_bank import supervision_of
from mmfer.registry import HOOKS


@HOOKS.register_module()
class NoiseReportHook(Hook):
    """Holds the remembered label distributions against the clean labels, where those are known.

    After every epoch it adds to the report of :class:`~mmfer.engine.hooks.protocol.ProtocolHook`, in %:
    ``distribution_top1`` (faces whose distribution peaks at the clean label), ``relabel_precision`` (of the faces whose
    distribution contradicts the observed label, those it puts right), ``relabel_recall`` (of the mislabelled faces,
    those it puts right); and ``distribution_kl``, the mean KL divergence from the true distribution (SyntheticFaces
    know it; elsewhere all on the clean label), in nats. Without added noise it does nothing.
    """

    priority = 'NORMAL'  # before ProtocolHook, which collects

    def after_train_epoch(self, runner: Runner) -> None:
        """Adds the figures of this epoch."""
        supervision = supervision_of(runner)
        columns = getattr(runner.train_dataloader.dataset, 'columns', {})
        if supervision is None or 'clean_label' not in columns:
            return
        if 'label_distribution' not in supervision.bank.columns:
            return
        distribution = supervision.bank.column('label_distribution').cpu()
        truth = columns.get('true_distribution')
        for name, value in noise_figures(distribution, columns['label'], columns['clean_label'], truth).items():
            runner.message_hub.update_scalar(f'val/{name}', value)


def noise_figures(
    distribution: torch.Tensor, observed: np.ndarray, clean: np.ndarray, true_distribution: np.ndarray | None = None
) -> dict[str, float]:
    """The figures of :class:`NoiseReportHook`; those that are 0 / 0 are left out.

    Shapes:
        distribution: [N, K].
        observed, clean: [N]; rows with an unknown clean label (-1) do not count.
        true_distribution: [N, K] or None.
    """
    known = torch.from_numpy(np.asarray(clean) >= 0)
    distribution = distribution[known].double()
    label, truth = torch.as_tensor(observed)[known], torch.as_tensor(clean)[known]
    believed = distribution.argmax(1)
    target = torch.nn.functional.one_hot(truth, distribution.size(1)).double()
    if true_distribution is not None:
        target = torch.from_numpy(np.array(true_distribution))[known].double()
    divergence = torch.xlogy(target, target) - target * distribution.clamp_min(1e-12).log()
    right, changed, wrong = believed == truth, believed != label, label != truth
    figures = {
        'distribution_top1': 100 * right.double().mean().item(),
        'distribution_kl': divergence.sum(1).mean().item(),
    }
    if changed.any():
        figures['relabel_precision'] = 100 * right[changed].double().mean().item()
    if wrong.any():
        figures['relabel_recall'] = 100 * right[wrong].double().mean().item()
    return figures
