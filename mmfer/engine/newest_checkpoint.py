"""The checkpoint that a run goes on from: the newest of its folder that reads whole, whatever else is there."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from mmfer.structures.tensor_file import UnreadableError, check_whole

EARLIER = 'earlier'
"""The folder, in a work folder, for checkpoints that are not of the run in it."""


def not_whole(path: str | Path, error: UnreadableError) -> str:
    """The sentence that a file is no checkpoint that can be read; names the newest of its folder that can."""
    other = newest_checkpoint(Path(path).parent).newest
    return (
        f'{path} cannot be read as a checkpoint of plain values ({error}): it is damaged, or no checkpoint of mmfer; '
        + (f'take {other}, which reads whole' if other else 'copy it again, or train anew')
    )


@dataclass(frozen=True)
class Found:
    """What a work folder has.

    Args:
        newest: The newest checkpoint that reads whole; None where there is none.
        place: Where it stands, such as 'epoch 3' or 'epoch 3, iteration 120'.
        damaged: Those that were found damaged on the way, with what is wrong.
    """

    newest: Path | None
    place: str = ''
    damaged: tuple[str, ...] = ()


def newest_checkpoint(folder: Path) -> Found:
    """Looks through a work folder.

    `last_checkpoint`, MMEngine's pointer, is not asked: it may be missing, cut off, or name a file of the folder that
    this one was copied from. Files are ordered by the iterations behind them, which they know themselves.
    """
    places: dict[Path, tuple[int, int]] = {}
    damaged: dict[Path, str] = {}
    for path in _candidates(folder):
        try:
            place = _place(path)
            if place is not None:
                places[path] = place
        except (UnreadableError, OSError) as error:
            damaged[path] = f'{path} cannot be read ({error})'
    for path in sorted(places, key=places.__getitem__, reverse=True):
        try:
            check_whole(path)
        except (UnreadableError, OSError) as error:
            damaged[path] = f'{path} is damaged ({error})'
            continue
        epoch, iteration = places[path]
        within = path.name.startswith('iter_')
        return Found(path, f'epoch {epoch}' + f', iteration {iteration}' * within, tuple(damaged.values()))
    return Found(None, '', tuple(damaged.values()))


def set_aside(folder: Path, begins_at: Path | None = None) -> list[Path]:
    """Moves checkpoints that are not of a run, or are beyond where it goes on, into the folder's `earlier`.

    Else a later `--resume` would go on from them. What is in `earlier` from the time before is deleted.

    Args:
        folder: A work folder.
        begins_at: The checkpoint that the run goes on from; None where it begins anew.

    Returns:
        Where they are now.
    """
    other = _candidates(folder)
    if begins_at is not None and begins_at.resolve().parent == folder.resolve():
        place = _place(begins_at)
        other = [path for path in other if place is not None and _is_beyond(path, place)]
    else:
        other += sorted(folder.glob('best_*.pth'))
    if not other:
        return []
    aside = folder / EARLIER
    aside.mkdir(exist_ok=True)
    for path in aside.glob('*.pth'):
        path.unlink()
    return [path.rename(aside / path.name) for path in other]


def remove_unfinished(folder: Path) -> None:
    """Removes what a killed run had not written whole."""
    for path in folder.glob('*.pth.part'):
        path.unlink(missing_ok=True)


def _candidates(folder: Path) -> list[Path]:
    return sorted(path for path in folder.glob('*.pth') if path.is_file() and not path.name.startswith('best_'))


def _is_beyond(path: Path, place: tuple[int, int]) -> bool:
    try:
        return (_place(path) or place) > place
    except (UnreadableError, OSError):
        return False  # damaged: no run goes on from it


def _place(path: Path) -> tuple[int, int] | None:
    """Epochs and iterations behind a checkpoint, whose tensors are not read for that; None of other files of tensors."""
    try:
        content: Any = torch.load(path, map_location='cpu', weights_only=True, mmap=True)
    except OSError:
        raise
    except Exception as error:  # of a damaged file, or of one that is none
        raise UnreadableError(str(error).partition('\n')[0][:100]) from None
    meta = content.get('meta') if isinstance(content, dict) else None
    if not isinstance(meta, dict) or not all(isinstance(meta.get(key), int) for key in ('epoch', 'iter')):
        return None
    return meta['epoch'], meta['iter']
