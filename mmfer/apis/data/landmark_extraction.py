"""Finds the landmarks of a folder of images, over as many interruptions as it takes."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from mmfer.apis.data.image_folder import (
    image_names,
    keep_settings,
    kept_settings,
    names_and_sizes,
    read_or_reason,
    write_failures,
)
from mmfer.apis.data.landmark_chunks import kept_chunk, read_chunk, write_chunk
from mmfer.apis.data.worst_landmarks import FACELESS, draw_worst
from mmfer.apis.processes import in_processes
from mmfer.datasets.landmarks.landmark_file import LandmarkFile, read_landmarks, write_landmarks
from mmfer.datasets.reading.names import first_other
from mmfer.machine import usable_cores
from mmfer.progress import ProgressBar
from mmfer.registry import LANDMARK_DETECTORS
from mmfer.structures.landmark_sets import NUM_POINTS

CHUNK = 64
"""Images whose landmarks are kept together; what a kill costs at most, in each process."""


@dataclass(frozen=True)
class Extraction:
    """What was written.

    Args:
        out: The landmark file.
        failures: A csv of the images without landmarks, with the reason.
        sheet: A picture of the faces with the lowest scores; None where no image could be read.
        images: How many there are.
        failed: How many of them have no landmarks.
        found_now: Whether the file was made by this call; False where it was there already.
    """

    out: Path
    failures: Path
    sheet: Path | None
    images: int
    failed: int
    found_now: bool


def extract_landmarks(
    folder: str | Path, out: str | Path, detector: dict[str, Any], batch_size: int = 16, jobs: int = 1
) -> Extraction:
    """Writes the landmarks of every image of a folder and its subfolders, in the order of their names.

    What is found is kept in the folder `<out>.progress`, so that the same call goes on after a kill; `batch_size` and
    `jobs` may then be others. The files at the end do not depend on how often it was killed.

    Args:
        folder: Images.
        out: The `.npz` to write, see :mod:`mmfer.datasets.landmarks.landmark_file`; images without landmarks have
            score 0.
        detector: Config of a part of `LANDMARK_DETECTORS`.
        batch_size: Images that the detector sees together, at most `CHUNK`.
        jobs: Processes.

    Raises:
        FileNotFoundError: There is no such folder.
        ValueError: It has no image, or `out` or its progress belongs to other images or to another detector.
    """
    out = Path(out)
    if out.suffix != '.npz':
        raise ValueError(f'landmarks are written as .npz, got {out}')
    if not 1 <= batch_size <= CHUNK:
        raise ValueError(f'--batch-size must be from 1 to {CHUNK}, got {batch_size}')
    failures, progress = out.with_name(f'{out.stem}_failures.csv'), out.with_name(f'{out.name}.progress')
    sheet = out.with_name(f'{out.stem}_worst.png')
    names = image_names(folder, leave_out=sheet)
    new = not out.exists()  # it is written behind all that it tells of, so where it is all is found
    if not new:
        faces = read_landmarks(str(out))
        if len(faces.names) != len(names) or first_other(faces.names.tolist(), names) is not None:
            raise ValueError(
                f'{out} is there already and has the landmarks of other images than {folder}: delete it, '
                'or write to another file'
            )
    else:
        settings = progress / 'settings.json'
        if kept_settings(settings) is None or not any(progress.glob('*.npz')):
            shutil.rmtree(progress, ignore_errors=True)  # half deleted, damaged, or of a run that found nothing
        known = {key: value for key, value in detector.items() if key != 'device'}
        keep_settings(settings, dict(detector=known, images=names_and_sizes(folder, names)))
        faces, reasons = _find_all(_Finder(str(folder), detector, batch_size, jobs), names, progress, jobs)
        write_failures(failures, names, reasons)
        write_landmarks(str(out), *faces)
    if not sheet.exists():  # the picture comes last, so that no fault of it costs the landmarks
        part = progress / sheet.name
        draw_worst(Path(folder), faces, failures, part)
        if part.exists():
            part.replace(sheet)
    shutil.rmtree(progress, ignore_errors=True)
    return Extraction(out, failures, sheet if sheet.exists() else None, len(names), int((faces.score == 0).sum()), new)


@dataclass
class _Finder:
    """Finds and keeps the landmarks of one chunk; a process makes its detector when it has something to find."""

    folder: str
    config: dict[str, Any]
    batch_size: int
    jobs: int

    @cached_property
    def detector(self) -> Any:
        if self.jobs > 1:
            import torch

            torch.set_num_threads(max(1, usable_cores() // self.jobs))
        return LANDMARK_DETECTORS.build(dict(self.config))

    def __call__(self, task: tuple[Path, list[str]]) -> int:
        path, names = task
        points = np.zeros((len(names), NUM_POINTS, 2), dtype=np.float32)
        score = np.zeros(len(names), dtype=np.float32)
        reasons = [FACELESS] * len(names)
        for start in range(0, len(names), self.batch_size):
            rows, images = [], []
            for row, name in enumerate(names[start : start + self.batch_size], start):
                image, fault = read_or_reason(Path(self.folder, name))
                if image is None:
                    reasons[row] = fault
                else:
                    rows.append(row)
                    images.append(np.ascontiguousarray(image[..., ::-1]))
            if rows:
                points[rows], score[rows] = self._detect(images)
        found = (score > 0) & np.isfinite(points).all((1, 2))
        points[~found], score[~found] = 0, 0
        reasons = ['' if ok else reason for ok, reason in zip(found, reasons, strict=True)]
        write_chunk(path, points, score, reasons)
        return len(names)

    def _detect(self, images: list[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
        points, score = self.detector.detect(images)
        if np.shape(points) != (len(images), NUM_POINTS, 2) or np.shape(score) != (len(images),):
            raise ValueError(
                f'{self.config["type"]} gives points {list(np.shape(points))} and score '
                f'{list(np.shape(score))} for {len(images)} images: a landmark detector returns points '
                f'[N, {NUM_POINTS}, 2] and score [N]'
            )
        return points, score


def _find_all(finder: _Finder, names: list[str], progress: Path, jobs: int) -> tuple[LandmarkFile, list[str]]:
    tasks = [
        (progress / f'{start // CHUNK:07}.npz', names[start : start + CHUNK]) for start in range(0, len(names), CHUNK)
    ]
    known = [kept_chunk(*task) for task in tasks]
    todo = [task for task, chunk in zip(tasks, known, strict=True) if chunk is None]
    done = len(names) - sum(len(chunk) for _, chunk in todo)
    with ProgressBar(total=len(names), initial=done, unit='image', desc='landmarks') as bar:
        for count in in_processes(finder, todo, jobs):
            bar.update(count)
    chunks = [read_chunk(*task) if chunk is None else chunk for task, chunk in zip(tasks, known, strict=True)]
    points, score, reasons = map(np.concatenate, zip(*chunks, strict=True))
    return LandmarkFile(np.array(names), points, score), reasons.tolist()
