r"""Draws docs/figures/arm.png.

    mmfer benchmark benchmarks/grids/synthfaces.py --rows ARM --seeds 0
    python docs/figures/arm.py configs/arm/r18_synthfaces_sym30_40e.py \
        work_dirs/benchmark/synthfaces/ARM_seed0/epoch_40.pth

Left: how many windows of de-albino see each pixel of the arranged map, at 224 px. Right: the test accuracy of one
checkpoint when what faces share is the average over training ('ema') and when it is the mean of the test batch.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import torch
from matplotlib.figure import Figure
from mmengine.registry import DATASETS, DefaultScope
from torch import Tensor, nn

from mmfer.apis import read_config, user_errors
from mmfer.apis.checkpoints.checkpoint_file import read_checkpoint
from mmfer.apis.config import KeyValue
from mmfer.apis.deployment import build_deployed, load_deployed
from mmfer.datasets import collate_faces
from mmfer.models.necks import ARM

SIZES = (1, 2, 4, 8, 16, 32, 64, 128, 256)
BLUE, RED = '#4477aa', '#ee6677'


def coverage() -> np.ndarray:
    """Windows over each pixel: the gradient of the sum of all outputs of a kernel of ones."""
    neck = ARM(norm_cfg=None, generic='none')
    nn.init.ones_(neck.de_albino.weight)
    arranged = torch.zeros(1, 2, 112, 112, requires_grad=True)
    return torch.autograd.grad(neck._pool(arranged).sum(), arranged)[0][0, 0].numpy()


@torch.inference_mode()
def features(config: str, checkpoint: str, options: dict | None) -> tuple[nn.Module, Tensor, Tensor]:
    """The deployed network, what ARM gives as unique to each test face, and the labels."""
    cfg = read_config(config, options)
    model = build_deployed(cfg).eval()
    load_deployed(model, read_checkpoint(checkpoint), checkpoint)
    with DefaultScope.overwrite_default_scope(cfg.default_scope):
        dataset = DATASETS.build(cfg.test_dataloader.dataset)
    faces = []
    for start in range(0, len(dataset), 64):
        rows = [dataset[i] for i in range(start, min(start + 64, len(dataset)))]
        inputs = model.data_preprocessor(collate_faces(rows), training=False)['inputs']
        # F = unique + a * generic
        faces.append(model.neck(model.backbone(inputs))[0] - model.neck.a * model.neck.generic.flatten())
    return model, torch.cat(faces), torch.as_tensor(dataset.get_gt_labels())


@torch.inference_mode()
def accuracy(model: nn.Module, unique: Tensor, label: Tensor, order: Tensor, size: int) -> float:
    """In percent, with the mean of each batch for what faces share; size 0 with the average over training."""
    if size == 0:
        rows = unique + model.neck.a * model.neck.generic.flatten()
    else:
        rows = torch.cat([batch + model.neck.a * batch.mean(0) for batch in unique[order].split(size)])
        label = label[order]
    return 100 * (model.head.fc(rows).argmax(1) == label).float().mean().item()


def main() -> None:
    """Measures and draws."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('config')
    parser.add_argument('checkpoint')
    parser.add_argument('--out', default=Path(__file__).with_suffix('.png'))
    parser.add_argument('--cfg-options', nargs='+', action=KeyValue)
    args = parser.parse_args()
    with user_errors():
        model, unique, label = features(args.config, args.checkpoint, args.cfg_options)
    shuffles = [torch.randperm(len(label), generator=torch.Generator().manual_seed(seed)) for seed in range(5)]
    by_class = label.argsort(stable=True)
    own = accuracy(model, unique, label, by_class, 0)
    listed = [accuracy(model, unique, label, by_class, size) for size in SIZES]
    shuffled = [[accuracy(model, unique, label, order, size) for size in SIZES] for order in shuffles]
    print(
        f'ema {own:.2f}; batch, by class {min(listed):.2f} to {max(listed):.2f}, shuffled {np.min(shuffled):.2f} to '
        f'{np.max(shuffled):.2f}'
    )

    figure = Figure(figsize=(10.5, 4.5), layout='constrained')
    left, right = figure.subplots(1, 2, width_ratios=(1, 1.7))
    image = left.imshow(coverage(), cmap='viridis', vmin=0)
    figure.colorbar(image, ax=left, label='windows that see a pixel', shrink=0.85)
    left.set(
        title='De-albino trusts the border less',
        xlabel='arranged map, px',
        xticks=range(0, 113, 16),
        yticks=range(0, 113, 16),
    )
    right.axhline(own, color=BLUE, linewidth=2.2, label="generic='ema': every size and order")
    right.plot(SIZES, listed, color=RED, marker='o', label="generic='batch', test faces sorted by class")
    for number, accuracies in enumerate(shuffled):
        right.plot(
            SIZES,
            accuracies,
            color=RED,
            alpha=0.35,
            marker='.',
            linewidth=1,
            label="generic='batch', shuffled (5)" if number == 0 else None,
        )
    right.set_xscale('log', base=2)
    right.set(
        title='One checkpoint, tested in batches',
        xlabel='faces in a test batch',
        ylabel='test accuracy, %',
        xticks=SIZES,
        xticklabels=map(str, SIZES),
    )
    right.minorticks_off()
    right.grid(color='.93')
    right.set_axisbelow(True)
    right.spines[['top', 'right']].set_visible(False)
    figure.legend(loc='outside lower right', ncols=3, frameon=False)
    figure.savefig(args.out, dpi=110)


if __name__ == '__main__':
    main()
