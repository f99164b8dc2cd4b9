"""Draws a contact sheet: ``python -m mmfer.datasets.synthetic_faces OUT.png``."""

from __future__ import annotations

import argparse

import cv2
import numpy as np

from mmfer.datasets.synthetic_faces.action_units import CLASSES, PROTOTYPES, mix_units, sample_distribution
from mmfer.datasets.synthetic_faces.capture import Capture, sample_capture
from mmfer.datasets.synthetic_faces.draw import draw_face
from mmfer.datasets.synthetic_faces.person import sample_person

_TILE = 112
_COLUMNS = 10
_MARGIN = 84
_NUMBERED = (0, 4, 8, 12, 16, 17, 19, 21, 22, 24, 26, 27, 30, 31, 35, 36, 39, 42, 45, 48, 51, 54, 57, 62, 66)


def contact_sheet(seed: int = 0) -> np.ndarray:
    """Three blocks, BGR uint8: expressions by person, landmarks, and faces as the dataset has them at 64 px."""
    return np.vstack([_expressions(seed), _landmarks(seed), _hard_cases(seed)])


def _write(
    image: np.ndarray, text: str, at: tuple[int, int], colour: tuple[int, int, int], scale: float = 0.42
) -> None:
    cv2.putText(image, text, at, cv2.FONT_HERSHEY_SIMPLEX, scale, colour, 1, cv2.LINE_AA)


def _titled(block: np.ndarray, title: str) -> np.ndarray:
    head = np.full((26, block.shape[1], 3), 255, np.uint8)
    _write(head, title, (8, 18), (0, 0, 0), 0.5)
    return np.vstack([head, block])


def _expressions(seed: int) -> np.ndarray:
    rows = []
    for label, (name, variants) in enumerate(zip(CLASSES, PROTOTYPES, strict=True)):
        row = [np.full((_TILE, _MARGIN, 3), 255, np.uint8)]
        _write(row[0], name, (4, _TILE // 2), (0, 0, 0))
        for column in range(_COLUMNS):
            rng = np.random.default_rng((seed, 3, label, column))
            capture = Capture(yaw=rng.normal(0, 0.12), pitch=rng.normal(0, 0.06), seed=int(rng.integers(2**31)))
            person = sample_person(seed, 100 + column)
            row.append(draw_face(person, variants[column % len(variants)], capture, _TILE)[0])
        rows.append(np.hstack(row))
    return _titled(np.vstack(rows), 'one person a column, full-blown expressions')


def _landmarks(seed: int) -> np.ndarray:
    side = (_MARGIN + _COLUMNS * _TILE) // 4
    tiles = []
    for column, name in enumerate(('neutral', 'surprise', 'happiness', 'anger')):
        rng = np.random.default_rng((seed, 4, column))
        capture = Capture(
            yaw=(0, 0.4, -0.35, 0.2)[column],
            pitch=(0, 0.1, -0.15, 0.2)[column],
            roll=(0, 0.1, 0, -0.15)[column],
            seed=column,
        )
        units = PROTOTYPES[CLASSES.index(name)][0] * rng.uniform(0.8, 1)
        image, points = draw_face(sample_person(seed, 200 + column), units, capture, side)
        for index, (x, y) in enumerate(points):
            cv2.circle(image, (round(x * 16), round(y * 16)), 24, (0, 255, 0), -1, cv2.LINE_AA, 4)
            if index in _NUMBERED:
                _write(image, str(index), (round(x) + 3, round(y) - 2), (0, 255, 255), 0.32)
        tiles.append(image)
    return _titled(np.hstack(tiles), 'landmarks in the iBUG order; a subset is numbered from 0')


def _hard_cases(seed: int) -> np.ndarray:
    tiles = []
    for index in range(5 * _COLUMNS):
        rng = np.random.default_rng((seed, 5, index))
        label = index // 2 % len(CLASSES)
        distribution = sample_distribution(label, 0.3, rng)
        image, _ = draw_face(sample_person(seed, 300 + index), mix_units(distribution, rng), sample_capture(rng), 64)
        shown = np.argsort(-distribution)[: (distribution > 0).sum()]
        tile = np.full((_TILE + 16, _TILE, 3), 255, np.uint8)
        tile[:_TILE] = cv2.resize(image, (_TILE, _TILE), interpolation=cv2.INTER_NEAREST)
        caption = ' '.join(f'{CLASSES[k][:4]} {distribution[k]:.2f}' for k in shown)
        _write(tile, caption, (2, _TILE + 12), (0, 0, 0), 0.32)
        tiles.append(tile)
    rows = [np.hstack(tiles[start : start + _COLUMNS]) for start in range(0, len(tiles), _COLUMNS)]
    block = np.vstack(rows)
    margin = np.full((len(block), _MARGIN, 3), 255, np.uint8)
    return _titled(np.hstack([margin, block]), 'as in the dataset, 64 px: blends, pose, light, noise, occluders')


def main() -> None:
    """Writes the contact sheet."""
    parser = argparse.ArgumentParser(description='Draws a contact sheet of the synthetic faces.')
    parser.add_argument('out', help='picture to write, for example faces.png')
    parser.add_argument('--seed', type=int, default=0)
    args = parser.parse_args()
    if not cv2.imwrite(args.out, contact_sheet(args.seed)):
        raise SystemExit(f'{args.out} could not be written; does its folder exist?')
    print(f'contact sheet: {args.out}')


if __name__ == '__main__':
    main()
