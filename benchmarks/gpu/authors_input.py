"""The input of LA-Net's authors: every face is read, cropped, flipped, jittered and erased by itself, on the CPU."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torchvision.transforms.functional as T
from PIL import Image
from torch import Tensor
from torch.utils.data import DataLoader, Dataset
from torchvision import transforms

from mmfer.structures.landmark_sets import MIRROR_68, landmark_set

MEAN, STD = (0.5412, 0.4324, 0.3795), (0.2485, 0.2182, 0.2066)
SIGMA = 1.5


class PerFace(Dataset):
    """Faces in the layout of RAF-DB, augmented one by one with their landmarks, which are drawn as heatmaps.

    Args:
        root: The data set's folder.
        size: Side of the faces that come out.
    """

    def __init__(self, root: Path, size: int):
        lines = (root / 'basic/EmoLabel/list_patition_label.txt').read_text().splitlines()
        rows = [line.split() for line in lines if line.startswith('train_')]
        with np.load(root / 'landmarks68.npz') as file:
            points = dict(zip(file['names'].tolist(), file['points'], strict=True))
        names = [f'{Path(name).stem}_aligned.jpg' for name, _ in rows]
        self.files = [root / 'basic/Image/aligned' / name for name in names]
        self.labels = [int(label) - 1 for _, label in rows]
        self.points = [points[name] for name in names]
        self.size, self.weights = size, landmark_set('aflw19').weights().numpy()
        self.jitter = transforms.ColorJitter(0.4, 0.4, 0.4, 0)
        self.erase = transforms.RandomErasing(p=0.2, scale=(0.02, 0.2))

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, row: int) -> tuple[Tensor, int, int, Tensor]:
        """Image [3, S, S], label, row, heatmaps [19, S / 4, S / 4]."""
        with Image.open(self.files[row], formats=['JPEG']) as file:
            image = file.convert('RGB')
        points = self.points[row].copy()
        if torch.rand(()) < 0.5:
            points = (points * (-1, 1) + (image.width - 1, 0))[MIRROR_68]
            image = T.hflip(image)
        top, left, height, width = transforms.RandomResizedCrop.get_params(image, (0.75, 1.0), (3 / 4, 4 / 3))
        image = T.resized_crop(image, top, left, height, width, [self.size, self.size])
        points = (points - (left, top) + 0.5) * (self.size / width, self.size / height) - 0.5
        image = self.erase(T.normalize(T.to_tensor(self.jitter(image)), MEAN, STD))
        return image, self.labels[row], row, torch.from_numpy(self.heatmaps(self.weights @ points))

    def heatmaps(self, points: np.ndarray) -> np.ndarray:
        """One Gaussian a point, one after the other."""
        side = self.size // 4
        maps = np.zeros((len(points), side, side), dtype=np.float32)
        rows, columns = np.mgrid[:side, :side]
        for one, (x, y) in zip(maps, (points + 0.5) / 4 - 0.5, strict=True):
            if -0.5 <= x < side - 0.5 and -0.5 <= y < side - 0.5:
                one[:] = np.exp(-((columns - x) ** 2 + (rows - y) ** 2) / (2 * SIGMA**2))
        return maps


def batches_of(root: Path, size: int, batch: int, workers: int) -> Iterator[Any]:
    """Batches without an end, from as many workers as are given."""
    loader = DataLoader(
        PerFace(root, size),
        batch,
        shuffle=True,
        drop_last=True,
        num_workers=workers,
        persistent_workers=workers > 0,
        pin_memory=torch.cuda.is_available(),
    )
    while True:
        yield from loader
