"""Images per second that arrive at the network: mmpretrain's own pipeline beside ours, unpacked and packed.

    python benchmarks/data.py                          # 2,000 made faces of 100 px, batch 128, one thread
    python benchmarks/data.py --faces 8000 --batch-size 256 --rounds 9

All read the same JPEGs (drawn synthetic faces, quality 95, in the disk cache) with one thread and no workers, shuffled,
in rounds in which every reader runs once; medians over rounds. On a CPU it is processor time that counts, not the
clock's, so that other work on the machine does not; with a GPU it is the clock's.

mmpretrain's pipeline is LoadImageFromFile, RandomResizedCrop(224), RandomFlip, ColorJitter, RandomErasing, PackInputs,
through its DataLoader: all of it on the CPU. Ours leaves augmentation to the device, so that it is counted twice:
`loaded` is what a CPU does for a network on a GPU, up to the batch of uint8 that is sent there (on a machine with a
GPU: until it is there, augmented and normalised); `on the CPU` goes on until the batch is augmented and normalised by
the CPU itself, for a network that runs there, too.
"""

import argparse
import gc
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import torch
from mmengine.config import Config
from mmengine.registry import MODELS, init_default_scope
from mmengine.runner import Runner

from mmfer.apis.data.packing import pack
from mmfer.datasets import SyntheticFaces
from mmfer.datasets.landmarks.landmark_file import write_landmarks

CONFIG = 'configs/baseline/r18_rafdb.py'
STOCK_PIPELINE = [
    dict(type='LoadImageFromFile'),
    dict(type='RandomResizedCrop', scale=224, crop_ratio_range=(0.75, 1.0)),
    dict(type='RandomFlip', prob=0.5, direction='horizontal'),
    dict(type='ColorJitter', brightness=0.4, contrast=0.4, saturation=0.4),
    dict(type='RandomErasing', erase_prob=0.2, mode='const', min_area_ratio=0.02, max_area_ratio=0.2),
    dict(type='PackInputs'),
]
STOCK_PREPROCESSOR = dict(
    type='ClsDataPreprocessor', mean=[123.675, 116.28, 103.53], std=[58.395, 57.12, 57.375], to_rgb=True
)


def make_faces(folder: Path, number: int, test: int = 0, distinct: int | None = None) -> None:
    """Writes drawn faces as JPEGs of 100 px, with their landmarks, in the layout of RAF-DB.

    Args:
        folder: Where to.
        number: Faces to train.
        test: Faces to test.
        distinct: How many of either are drawn; the others are links to them, as drawing takes time. None: all.
    """
    images, labels = folder / 'basic/Image/aligned', folder / 'basic/EmoLabel'
    images.mkdir(parents=True)
    labels.mkdir()
    lines, names, points = [], [], []
    for split, count in (('train', number), ('test', test)):
        drawn = min(count, distinct or count)
        if not drawn:
            continue
        faces = SyntheticFaces(split=split, num=drawn, size=100, cache_dir=None).columns
        for i in range(count):
            name = f'{split}_{i:05d}_aligned.jpg'
            if i < drawn:
                cv2.imwrite(str(images / name), faces['image'][i], [cv2.IMWRITE_JPEG_QUALITY, 95])
            else:
                os.link(images / f'{split}_{i % drawn:05d}_aligned.jpg', images / name)
            lines.append(f'{split}_{i:05d}.jpg {faces["label"][i % drawn] + 1}\n')
            names.append(name)
            points.append(faces['landmarks'][i % drawn])
    (labels / 'list_patition_label.txt').write_text(''.join(lines))
    write_landmarks(str(folder / 'landmarks68.npz'), names, np.stack(points))


class Reader:
    """A loader, and the preprocessor that makes its batches ready for the network."""

    def __init__(self, loader: dict, batch_size: int, preprocessor: dict, device: str | None):
        settings = dict(
            sampler=dict(type='DefaultSampler', shuffle=True),
            num_workers=0,
            batch_size=batch_size,
            pin_memory=device == 'cuda',
            persistent_workers=False,
        )
        self.loader = Runner.build_dataloader({**loader, **settings}, seed=0)
        self.prepare: Callable | None = None
        if device is not None:
            self.prepare = MODELS.build(preprocessor).to(device)

    def seconds(self) -> float:
        """Time of one epoch."""
        clock = time.perf_counter if torch.cuda.is_available() else time.process_time
        gc.collect()  # not what the readers before it left behind
        start = clock()
        for batch in self.loader:
            if self.prepare is not None:
                self.prepare(batch, training=True)
        if torch.cuda.is_available():
            torch.cuda.synchronize()
        return clock() - start


def readers(folder: Path, batch_size: int) -> dict[str, dict[str, Reader]]:
    """Every reader by how far it goes, mmpretrain's first."""
    cfg = Config.fromfile(CONFIG)
    init_default_scope(cfg.default_scope)
    cfg.train_dataloader.dataset.data_root = str(folder)
    pack(cfg, folder / 'faces.pack', ['train'])
    ours = cfg.train_dataloader.to_dict()
    packed = {**ours, 'dataset': {**ours['dataset'], 'packed': str(folder / 'faces.pack')}}
    stock = dict(
        dataset=dict(type='CustomDataset', data_root=str(folder / 'stock'), pipeline=STOCK_PIPELINE),
        collate_fn=dict(type='default_collate'),
    )
    # What CustomDataset wants: a folder a class.
    for row, name in zip(
        Path(folder / 'basic/EmoLabel/list_patition_label.txt').read_text().splitlines(),
        sorted(os.listdir(folder / 'basic/Image/aligned')),
        strict=True,
    ):
        place = folder / 'stock' / row.split()[1]
        place.mkdir(parents=True, exist_ok=True)
        (place / name).symlink_to(folder / 'basic/Image/aligned' / name)
    loaders = {
        "mmpretrain's pipeline": (stock, STOCK_PREPROCESSOR),
        'mmfer': (ours, cfg.data_preprocessor),
        'mmfer, packed': (packed, cfg.data_preprocessor),
    }
    stages = {'loaded': 'cuda' if torch.cuda.is_available() else None, 'on the CPU': 'cpu'}
    return {
        stage: {
            name: Reader(loader, batch_size, preprocessor, device) for name, (loader, preprocessor) in loaders.items()
        }
        for stage, device in stages.items()
    }


def main() -> None:
    """Prints images per second."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--faces', type=int, default=2000)
    parser.add_argument('--batch-size', type=int, default=128)
    parser.add_argument('--rounds', type=int, default=5)
    args = parser.parse_args()
    torch.set_num_threads(1)
    cv2.setNumThreads(0)
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        make_faces(folder, args.faces)
        stages = readers(folder, args.batch_size)
        times = {(stage, name): [] for stage, of_stage in stages.items() for name in of_stage}
        for _ in range(args.rounds + 1):  # the first warms up
            for stage, name in times:
                times[stage, name].append(stages[stage][name].seconds())
    print(f'\n{args.faces:,} JPEGs of 100 px, batch {args.batch_size}, one thread, median of {args.rounds} rounds')
    print(
        f'loaded: augmented on {torch.cuda.get_device_name()}'
        if torch.cuda.is_available()
        else 'loaded: up to the uint8 batch that is ready to be sent; there is no GPU here to copy it to and augment it'
    )
    for stage, of_stage in stages.items():
        print(f'{stage:24}{"images/s":>10}{"ratio":>8}')
        rates = {name: args.faces / statistics.median(times[stage, name][1:]) for name in of_stage}
        for name, rate in rates.items():
            print(f'  {name:22}{rate:10,.0f}{rate / next(iter(rates.values())):8.1f}')


if __name__ == '__main__':
    main()
