"""The faces that real input is measured with, and loaders of them."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import Any

from mmengine.config import Config
from mmengine.registry import init_default_scope
from mmengine.runner import Runner

from benchmarks.data import make_faces
from mmfer.apis.data.packing import pack

ROOT = Path(__file__).parents[2]
TRAIN, TEST = 12_271, 3_068
"""Faces of RAF-DB."""


class Faces:
    """RAF-DB where it is whole in data/raf-db, else as many drawn faces in its layout.

    Args:
        place: A folder for what is written.
        smoke: A few, drawn.
    """

    def __init__(self, place: Path, smoke: bool):
        self.place, self.smoke = place, smoke
        self.train, self.test = (16, 7) if smoke else (TRAIN, TEST)

    @cached_property
    def root(self) -> Path:
        """Their folder, drawn when it is first asked for."""
        real = ROOT / 'data/raf-db'
        listed = real / 'basic/EmoLabel/list_patition_label.txt'
        if not self.smoke and listed.is_file() and len(listed.read_text().splitlines()) == TRAIN + TEST:
            return real
        drawn = self.place / 'drawn'
        make_faces(drawn, self.train, self.test, distinct=512)
        return drawn

    @property
    def kind(self) -> str:
        """Which they are."""
        return 'RAF-DB' if self.root.is_relative_to(ROOT) else 'drawn faces of 100 px'

    @cached_property
    def packed(self) -> Path:
        """Their packed file."""
        file = self.place / 'faces.pack'
        pack(self.config('configs/lanet/r18_rafdb.py'), file)
        return file

    def config(self, path: str, packed: bool = False) -> Config:
        """A config of RAF-DB that trains on these."""
        cfg = Config.fromfile(ROOT / path)
        for loader in (cfg.train_dataloader, cfg.val_dataloader, cfg.test_dataloader):
            loader.dataset.data_root = str(self.root)
            if packed:
                loader.dataset.packed = str(self.packed)
        return cfg

    def batches(self, batch: int, packed: bool, pin_memory: bool) -> Iterator[dict[str, Any]]:
        """Batches for training without an end, from the loader that a run of LA-Net has."""
        cfg = self.config('configs/lanet/r18_rafdb.py', packed)
        init_default_scope(cfg.default_scope)
        loader = Runner.build_dataloader(
            {
                **cfg.train_dataloader,
                'sampler': dict(type='DefaultSampler', shuffle=True),
                'batch_size': batch,
                'pin_memory': pin_memory,
            },
            seed=0,
        )
        while True:
            yield from loader
