"""The checkpoint that a run goes on from: the newest of its folder that reads whole, whatever else is there."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from mmfer.structures.tensor_file import UnreadableError, check_whole, peek

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
    places, damaged = _survey(folder)
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
    places, damaged = _survey(folder)
    if begins_at is not None and begins_at.resolve().parent == folder.resolve():
        start = places.get(folder / begins_at.name)
        other = [path for path, place in places.items() if start is not None and place > start]
    else:
        other = [*places, *damaged, *sorted(folder.glob('best_*.pth'))]
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


def _survey(folder: Path) -> tuple[dict[Path, tuple[int, int]], dict[Path, str]]:
    """Where the checkpoints of a folder stand (epochs and iterations behind them), and what damaged ones suffer from.

    Other files of tensors, such as exports, are passed over; tensors are not read.
    """
    places: dict[Path, tuple[int, int]] = {}
    damaged: dict[Path, str] = {}
    for path in sorted(folder.glob('*.pth')):
        if not path.is_file() or path.name.startswith('best_'):
            continue
        try:
            content = peek(path)
        except (UnreadableError, OSError) as error:
            damaged[path] = f'{path} cannot be read ({str(error)[:100]})'
            continue
        meta = content.get('meta') if isinstance(content, dict) and 'message_hub' in content else None
        if isinstance(meta, dict) and all(isinstance(meta.get(key), int) for key in ('epoch', 'iter')):
            places[path] = (meta['epoch'], meta['iter'])
    return places, damaged
