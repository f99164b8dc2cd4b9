"""Where a training begins: anew, or behind a checkpoint."""

from __future__ import annotations

from pathlib import Path

from mmengine.dist import broadcast_object_list, is_main_process
from mmengine.runner import Runner

from mmfer.structures.newest_checkpoint import EARLIER, newest_checkpoint, not_whole, remove_unfinished, set_aside
from mmfer.structures.tensor_file import UnreadableError, check_whole

AUTO = 'auto'
"""`resume=AUTO` goes on where there is a checkpoint, and begins anew where there is none."""


def choose_beginning(runner: Runner) -> None:
    """Sets which checkpoint a runner goes on from, where its config says `resume`; says which, and why.

    Raises:
        FileNotFoundError: There is none to go on from.
        ValueError: The one that was named is damaged.
    """
    if not runner._resume:
        return
    said: list[tuple[str | None, Exception | None]] = [(None, None)]
    if is_main_process():
        try:
            said = [(_chosen(runner), None)]
        except (OSError, ValueError) as error:
            said = [(None, error)]
    broadcast_object_list(said)
    checkpoint, refused = said[0]
    if refused is not None:
        raise refused
    runner._load_from, runner._resume = checkpoint, checkpoint is not None


def clear_folder(runner: Runner) -> None:
    """Sets aside the checkpoints in a run's folder that are not on its way, so that `--resume` finds its own only."""
    said = [runner._load_from]
    if is_main_process():
        folder, named = Path(runner.work_dir), runner._load_from
        remove_unfinished(folder)
        before = Path(named).resolve() if named else None
        begins_at = Path(named) if runner._resume else None
        moved = set_aside(folder, begins_at)
        if moved:
            names = ', '.join(path.name for path in moved)
            why = 'beyond where this run goes on' if begins_at else 'of another run'
            runner.logger.info(f'{names}, {why}: now in {moved[0].parent}, until that is needed again')
        if before is not None and before in [(folder / path.name).resolve() for path in moved]:
            said = [str(folder / EARLIER / before.name)]
    broadcast_object_list(said)
    runner._load_from = said[0]


def _chosen(runner: Runner) -> str | None:
    folder, named = Path(runner.work_dir), runner._load_from
    if named:
        _check(runner, Path(named), folder)
        return str(named)
    found = newest_checkpoint(folder)
    for sentence in found.damaged:
        runner.logger.warning(sentence)
    if found.newest is not None:
        why = 'the newest that reads whole' if found.damaged else 'the newest there'
        runner.logger.info(f'resumed from {found.newest}, {why} ({found.place})')
        return str(found.newest)
    aside = folder / EARLIER
    there = f'; those of the run before are in {aside}' if any(aside.glob('*.pth')) else ''
    none = 'no checkpoint that reads whole' if found.damaged else 'no checkpoint'
    if runner._resume != AUTO:
        raise FileNotFoundError(
            f'{folder} has {none} to go on from{there}: begin anew without --resume, or, for jobs that are started '
            'again and again, say --resume auto'
        )
    runner.logger.info(f'{folder} has {none}: the run begins anew')
    return None


def _check(runner: Runner, named: Path, folder: Path) -> None:
    if not named.is_file():
        raise FileNotFoundError(
            f'there is no checkpoint {named} to resume from; --resume alone takes the newest of {folder}'
        )
    try:
        check_whole(named)
    except UnreadableError as error:
        raise ValueError(not_whole(named, error)) from None
    runner.logger.info(f'resumed from {named}')
