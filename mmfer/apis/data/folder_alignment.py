"""Aligns a folder of faces by their landmarks, over as many interruptions as it takes."""

from __future__ import annotations

import hashlib
import os
from dataclasses import asdict, dataclass
from pathlib import Path

import cv2
import numpy as np

from mmfer.apis.data.alignment import TEMPLATES, Template, align
from mmfer.apis.data.image_folder import image_names, keep_settings, names_and_sizes, read_or_reason, write_failures
from mmfer.apis.processes import in_processes
from mmfer.datasets.landmarks.landmark_file import landmarks_of, write_landmarks
from mmfer.datasets.landmarks.posture_fault import exchange_command, fault_of
from mmfer.datasets.reading.inside import place_inside
from mmfer.detectors.warp import move
from mmfer.progress import ProgressBar
from mmfer.structures.whole_files import written_whole

_TASK = 64  # images that a process takes at once


@dataclass(frozen=True)
class Alignment:
    """What was written.

    Args:
        landmarks: The landmark file of the aligned faces.
        failures: A csv of the images that were left out, with the reason.
        images: How many there are.
        failed: How many of them were left out.
    """

    landmarks: Path
    failures: Path
    images: int
    failed: int


def align_folder(
    folder: str | Path,
    landmarks: str | Path,
    out: str | Path,
    template: str = 'rafdb',
    size: int | None = None,
    png: bool = False,
    quality: int = 95,
    jobs: int = 1,
) -> Alignment:
    """Writes every face of a folder aligned, under its name, and `landmarks68.npz` with the moved landmarks.

    A face without landmarks is left out and listed in `failures.csv`: there is nothing to align it by, and a face that
    is laid out otherwise would pass for an aligned one. `alignment.json` says how the faces were made. After a kill
    the same call goes on: faces that are there are complete, and the landmark file is written at the end.

    Args:
        folder: Images.
        landmarks: Landmark file or folder of any kind that has a row for each.
        out: Folder to write to.
        template: A key of `TEMPLATES`.
        size: Side of the faces. Defaults to None: the template's.
        png: Whether to write .png. Defaults to False: the kind of the image, .jpg for what is neither .png nor .bmp.
        quality: Of jpegs, to 100.
        jobs: Processes.

    Raises:
        FileNotFoundError: There is no such folder or landmark file.
        ValueError: An image has no row, nearly all landmarks are turned or mirrored, or `out` has other images or was
            begun with other settings.
    """
    out = Path(out)
    if template not in TEMPLATES:
        raise ValueError(f'there is no template {template!r}; choose one of {", ".join(TEMPLATES)}')
    size = TEMPLATES[template].size if size is None else size
    if size < 1 or not 1 <= quality <= 100:
        raise ValueError(f'--size must be positive and --quality from 1 to 100, got {size} and {quality}')
    names = image_names(folder)
    targets = [_target(name, png) for name in names]
    _check_apart(Path(folder), out, names, targets)
    points, score = landmarks_of(str(landmarks), np.array(names))
    file = str(landmarks)
    if wrong := fault_of(np.array(names), points, score, file, exchange_command(file), turned_only=True):
        raise ValueError(wrong)
    record = out / 'alignment.json'
    if out.is_dir() and not record.exists() and set(os.listdir(out)) - {'alignment.part'}:
        raise ValueError(f'{out} has files that this tool did not write: name a folder that is new or empty')
    keep_settings(
        record,
        dict(
            template=dict(name=template, **asdict(TEMPLATES[template])),
            size=size,
            png=png,
            quality=quality,
            images=names_and_sizes(folder, names),
            landmarks=hashlib.sha256(points.tobytes() + score.tobytes()).hexdigest(),
        ),
    )

    aligner = _Aligner(Path(folder), out, TEMPLATES[template], size, quality)
    todo = [i for i, target in enumerate(targets) if not (out / target).exists()]
    tasks = [
        [(names[i], targets[i], points[i], score[i]) for i in todo[start : start + _TASK]]
        for start in range(0, len(todo), _TASK)
    ]
    reasons = [''] * len(names)
    with ProgressBar(total=len(names), initial=len(names) - len(todo), unit='image', desc='align') as bar:
        done = iter(todo)
        for some in in_processes(aligner, tasks, jobs):
            for reason in some:
                reasons[next(done)] = reason
            bar.update(len(some))
    failures, moved = out / 'failures.csv', out / 'landmarks68.npz'
    write_failures(failures, names, reasons)
    kept = [i for i, reason in enumerate(reasons) if not reason]
    write_landmarks(
        str(moved),
        [targets[i] for i in kept],
        np.array([move(aligner.template.matrix(points[i], size), points[i]) for i in kept], dtype=np.float32).reshape(
            -1, *points.shape[1:]
        ),
        score[kept],
    )
    return Alignment(moved, failures, len(names), len(names) - len(kept))


@dataclass(frozen=True)
class _Aligner:
    """Aligns and writes some faces; gives the reason for each that it leaves out, '' for the others."""

    folder: Path
    out: Path
    template: Template
    size: int
    quality: int

    def __call__(self, task: list[tuple[str, str, np.ndarray, float]]) -> list[str]:
        return [self.align(*face) for face in task]

    def align(self, name: str, target: str, points: np.ndarray, score: float) -> str:
        if not (score > 0 and np.isfinite(points).all()):
            return 'no landmarks'
        if np.ptp(points, axis=0).max() < 1:
            return 'all landmarks lie on one pixel'
        try:
            path = place_inside(self.out, target)
        except ValueError as error:
            return str(error)
        image, fault = read_or_reason(self.folder / name)
        if image is None:
            return fault
        face = align(image, points, self.size, self.template)
        jpeg = path.suffix.lower() in ('.jpg', '.jpeg')
        options = [cv2.IMWRITE_JPEG_QUALITY, self.quality] if jpeg else []  # of others OpenCV warns, for each
        with written_whole(path, 'wb') as stream:
            stream.write(cv2.imencode(path.suffix.lower(), face, options)[1])
        return ''


def _target(name: str, png: bool) -> str:
    stem, suffix = os.path.splitext(name)
    if png:
        return f'{stem}.png'
    return name if suffix.lower() in ('.jpg', '.jpeg', '.png', '.bmp') else f'{stem}.jpg'


def _check_apart(folder: Path, out: Path, names: list[str], targets: list[str]) -> None:
    if out.resolve() == folder.resolve() or folder.resolve() in out.resolve().parents:
        raise ValueError(f'{out} lies in {folder}, whose images are read: name a folder elsewhere')
    of: dict[str, str] = {}
    for name, target in zip(names, targets, strict=True):
        if of.setdefault(target, name) != name:
            raise ValueError(f'{of[target]} and {name} would both become {target}: rename one of them')
