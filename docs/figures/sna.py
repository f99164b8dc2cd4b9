r"""Draws docs/figures/sna.png.

    mmfer benchmark benchmarks/grids/synthfaces.py --rows SNA --seeds 0
    python docs/figures/sna.py configs/sna/r18_synthfaces_sym30_40e.py \
        work_dirs/benchmark/synthfaces/SNA_seed0/epoch_40.pth \
        --cfg-options train_dataloader.dataset.label_noise=None

Training faces, a random and an adversarial neighbour of each, what is added, and what the classifier makes of them.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from mmfer.apis import user_errors
from mmfer.apis.analysis.inspection import Run, read_run
from mmfer.apis.config import KeyValue
from mmfer.models.supervision.branches import SemanticNeighbours
from mmfer.models.supervision.branches.semantic_neighbours import predict
from mmfer.visualization import draw_contact_sheet

BLUE, RED, GREY = '#4477aa', '#ee6677', '.85'
STRENGTH = 3
"""How much stronger than it is what is added is shown."""


def branch_of(model: nn.Module) -> SemanticNeighbours:
    """The classifier's first branch of that kind."""
    found = [part for part in model.modules() if isinstance(part, SemanticNeighbours)]
    if not found:
        raise ValueError('the config has no mmfer.SemanticNeighbours: give one of configs/sna')
    return found[0]


def pictures(run: Run, faces: Tensor) -> list[np.ndarray]:
    """RGB uint8 [H, W, 3] of normalised faces."""
    preprocessor = run.model.data_preprocessor
    pixels = (faces * preprocessor.std + preprocessor.mean).clamp(0, 1) * 255
    return list(pixels.round().byte().permute(0, 2, 3, 1).cpu().numpy())


@torch.no_grad()
def draw(run: Run, faces: int, path: Path, seed: int = 0) -> Path:
    """A row a face: the face, a random and an adversarial neighbour, and what each adds."""
    rows = torch.randperm(len(run.dataset), generator=torch.Generator().manual_seed(seed))[:faces].tolist()
    inputs, batch = next(run.batches(rows, batch_size=faces))
    part, classes = branch_of(run.model), run.dataset.metainfo['classes']
    logits = predict(run.model, inputs)
    torch.manual_seed(seed + 1)
    shown = [('face', inputs)]
    for part.kind in ('random', 'adversarial'):
        shown.append((part.kind, part.neighbours(run.model, inputs, logits)))
    first = logits.argmax(1)
    columns, frames, captions = [], [], []
    for name, changed in shown:
        share, best = predict(run.model, changed).softmax(1).max(1)
        columns.append(pictures(run, changed))
        lines = [f'{name}\n{classes[k]} {100 * p:.0f} %' for k, p in zip(best.tolist(), share.tolist(), strict=True)]
        if name == 'face':
            lines = [
                f'labelled {classes[k]}\n{line.split(chr(10))[1]}'
                for k, line in zip(batch.label.tolist(), lines, strict=True)
            ]
        captions.append(lines)
        frames.append([GREY if name == 'face' else BLUE if same else RED for same in (best == first).tolist()])
    preprocessor = run.model.data_preprocessor
    for name, changed in shown[1:]:
        # Grey is (.5 - mean) / std among normalised faces.
        added = (0.5 - preprocessor.mean) / preprocessor.std + STRENGTH * (changed - inputs)
        columns.append(pictures(run, added))
        captions.append([f'added, x {STRENGTH}\n{name}'] * faces)
        frames.append([GREY] * faces)

    def by_row(values: list[list]) -> list:
        return [value for row in zip(*values, strict=True) for value in row]

    title = (
        f'{Path(run.cfg.filename).stem}: neighbours of strength {part.max_noise:g} at most (random) and of length '
        f'{part.radius:g} (adversarial); red: another class'
    )
    draw_contact_sheet(by_row(columns), by_row(captions), path, len(columns), title, by_row(frames))
    picture = Image.open(path).convert('RGB')
    picture.quantize(palette=picture.quantize(256)).save(path, optimize=True)  # dithered; half the bytes
    return path


def main() -> None:
    """Reads the run and draws."""
    parser = argparse.ArgumentParser(description='Draw semantic neighbours of training faces.')
    parser.add_argument('config', help='the config the checkpoint was trained with')
    parser.add_argument('checkpoint', help='a checkpoint of training')
    parser.add_argument('--out', metavar='PNG', default=str(Path(__file__).with_suffix('.png')))
    parser.add_argument('--faces', type=int, default=5)
    parser.add_argument('--seed', type=int, default=0, help='chooses faces and random changes')
    parser.add_argument('--cfg-options', nargs='+', action=KeyValue, metavar='KEY=VALUE')
    args = parser.parse_args()
    with user_errors():
        print(draw(read_run(args.config, args.checkpoint, args.cfg_options), args.faces, Path(args.out), args.seed))


if __name__ == '__main__':
    main()
