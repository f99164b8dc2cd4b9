"""Trainings that are killed at random moments, and in the middle of writing a checkpoint, and gone on with.

    python benchmarks/kills.py --out benchmarks/results/cpu/kills.json

Chains of kills: a training is killed with SIGKILL, started again with `--resume auto`, killed again, and so on until it
ends. A run is lost where it goes back behind a place from which it went on before, or where anything of its last
checkpoint (weights, optimizer, memory per sample, history) differs by a bit from that of a run that was left alone.
Killed are LA-Net and all five methods together, in one process and in two. Figures are added to the file after every
chain; what it has is not repeated.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import signal
import socket
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any

import torch

from mmfer.cli.train import main as train
from mmfer.structures.tensor_file import read_tensor_file

ROOT = Path(__file__).resolve().parents[1]
CONFIGS = {
    'LA-Net': 'configs/lanet/r18_synthfaces.py',
    'all five': 'configs/combined/scn_arm_pal_lanet_sna_r18_synthfaces.py',
}
OPTIONS = (
    *('train_cfg.max_epochs=3', 'train_dataloader.num_workers=1', 'val_dataloader.num_workers=0'),
    *('train_dataloader.persistent_workers=True', 'val_dataloader.persistent_workers=False'),
    *('train_dataloader.dataset.num=36', 'val_dataloader.dataset.num=14', 'val_dataloader.batch_size=14'),
    *('model.backbone.base_channels=8', 'model.backbone.stem_channels=8', 'data_preprocessor.size=64'),
    *('default_hooks.checkpoint.minutes=0.02', 'default_hooks.logger.interval=3'),
)
QUEUE = 'model.supervision.lanet.branches.keys.queue_size=40'
OF_CONFIG = {
    'LA-Net': ('model.head.in_channels=64', QUEUE, 'default_hooks.sample_bank.on_disk=True'),
    'all five': (
        *(
            'model.neck.in_channels=64',
            'model.neck.upscale=8',
            QUEUE,
            'model.supervision.scn.refiners.relabel.start_epoch=2',
        ),
        *(f'model.supervision.scn.refiners.relabel.{setting}' for setting in ('margin=0.0', 'scope=all')),
        *(
            f'model.supervision.sna.{part}'
            for part in ('branches.neighbours.checkpoint=None', 'refiners.reliability.warmup=1')
        ),
    ),
}
BATCH = 6


class Run:
    """One training, of one or two processes, forked from this one, which has imported what takes seconds."""

    def __init__(self, name: str, processes: int, folder: Path, log: Path | None = None):
        port = _free_port()
        self.pids = []
        for rank in range(processes):
            pid = os.fork()
            if pid == 0:
                _train(name, processes, rank, port, folder, log or Path(f'{folder}.{rank}.log'))
            self.pids.append(pid)
        self.code: int | None = None

    def wait(self, seconds: float) -> bool:
        """Whether it ends within so many seconds."""
        until = time.monotonic() + seconds
        while self.code is None:
            pid, status = os.waitpid(self.pids[0], os.WNOHANG)
            if pid:
                self.code = os.waitstatus_to_exitcode(status)
                for other in self.pids[1:]:
                    self.code = self.code or os.waitstatus_to_exitcode(os.waitpid(other, 0)[1])
            elif time.monotonic() >= until:
                return False
            time.sleep(0.0005)
        return True

    def kill(self) -> None:
        """Ends all of its processes at once."""
        if self.code is None:
            for pid in self.pids:
                os.kill(pid, signal.SIGKILL)
            for pid in self.pids:
                os.waitpid(pid, 0)


def _train(name: str, processes: int, rank: int, port: int, folder: Path, log: Path) -> None:
    code = 1
    try:
        os.chdir(ROOT)
        torch.set_num_threads(1)
        output = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.dup2(output, 1)
        os.dup2(output, 2)
        os.environ['MMFER_LAUNCHER'] = str(os.getppid())
        options = [*OPTIONS, *OF_CONFIG[name], f'train_dataloader.batch_size={BATCH // processes}']
        words = [CONFIGS[name], '--work-dir', str(folder), '--resume', 'auto']
        if processes > 1:
            os.environ |= dict(RANK=str(rank), LOCAL_RANK=str(rank), WORLD_SIZE=str(processes))
            os.environ |= dict(MASTER_ADDR='127.0.0.1', MASTER_PORT=str(port), LOCAL_WORLD_SIZE=str(processes))
            words += ['--launcher', 'pytorch']
        train([*words, '--cfg-options', *options])
        code = 0
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else 1
    except BaseException:
        import traceback

        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(('127.0.0.1', 0))
        return int(probe.getsockname()[1])


def chain(
    name: str,
    processes: int,
    folder: Path,
    kills: int,
    moment: Callable[[Path], Iterator[float]],
    whole: Mapping[str, Any],
) -> dict[str, Any]:
    """Kills a run up to so many times, lets it end, and compares it."""
    places: list[int] = []
    while True:
        began = time.monotonic()
        run = Run(name, processes, folder)
        waits = moment(folder) if len(places) < kills else iter([600.0])
        if not any(run.wait(seconds) for seconds in waits):
            run.kill()
            places.append(_place(folder))
            continue
        lost = sum(later < earlier for earlier, later in pairwise(places))
        differ = (
            differences(whole, read_tensor_file(folder / 'epoch_3.pth')) if run.code == 0 else [f'exit code {run.code}']
        )
        seconds = round(time.monotonic() - began, 1)
        return dict(kills=len(places), lost=lost, equal=not differ, differ=differ[:3], places=places, seconds=seconds)


def at_random(longest: float, chance: random.Random) -> Callable[[Path], Iterator[float]]:
    """Any moment of a run."""
    return lambda folder: iter([chance.uniform(0, longest)])


def while_writing(longest: float, chance: random.Random) -> Callable[[Path], Iterator[float]]:
    """A moment at which a checkpoint is half written, after a random number of whole ones."""

    def moments(folder: Path) -> Iterator[float]:
        while not any(folder.glob('*.pth*')):
            yield 0
        after = time.monotonic() + chance.uniform(0, longest / 3)
        while True:  # until it is there, or the run has ended
            yield 0
            if time.monotonic() > after and any(folder.glob('*.pth.part')):
                yield chance.uniform(0, 0.02)
                if any(folder.glob('*.pth.part')):
                    return

    return moments


def differences(one: Any, other: Any, name: str = '') -> list[str]:
    """Where two checkpoints differ; times and names of folders, which do, are passed over."""
    if name in ('meta', 'message_hub') or name.startswith('mmfer_schedule'):
        return []
    if isinstance(one, torch.Tensor):
        same = isinstance(other, torch.Tensor) and torch.equal(one, other)
        return [] if same else [name]
    if isinstance(one, Mapping):
        if not isinstance(other, Mapping) or set(one) != set(other):
            return [name]
        return [
            found for key in one for found in differences(one[key], other[key], f'{name}.{key}' if name else str(key))
        ]
    if isinstance(one, list | tuple):
        if not isinstance(other, list | tuple) or len(one) != len(other):
            return [name]
        return [
            found for i, pair in enumerate(zip(one, other, strict=True)) for found in differences(*pair, f'{name}.{i}')
        ]
    return [] if one == other or one != one else [name]


def _place(folder: Path) -> int:
    """Iterations behind the newest checkpoint that reads whole."""
    found = 0
    for path in folder.glob('*.pth'):
        try:
            found = max(found, int(read_tensor_file(path)['meta']['iter']))
        except ValueError:
            continue
    return found


def campaign(out: Path, kills: int, writes: int, names: list[str], folder: Path, processes: list[int]) -> bool:
    """All chains; whether none was lost."""
    results = json.loads(out.read_text()) if out.is_file() else {}
    for name in names:
        for count in processes:
            whole = None
            for kind, number in (('at random moments', kills), ('while writing', writes)):
                key = f'{name}, {count} process{"es" * (count > 1)}, {kind}'
                if key in results:
                    continue
                if whole is None:
                    began = time.monotonic()
                    alone = Run(name, count, folder / f'{name}-{count}-whole')
                    if not alone.wait(600) or alone.code:
                        raise SystemExit(f'the run that is left alone failed: {folder}/{name}-{count}-whole.0.log')
                    longest = time.monotonic() - began
                    whole = read_tensor_file(folder / f'{name}-{count}-whole' / 'epoch_3.pth')
                chance = random.Random(key)  # noqa: S311
                choose = at_random if kind == 'at random moments' else while_writing
                chains = []
                while (left := number - sum(one['kills'] for one in chains)) > 0:
                    place = folder / f'{name}-{count}-{kind}-{len(chains)}'
                    moment = choose(longest, chance)
                    chains.append(chain(name, count, place, min(left, 5), moment, whole))
                    if not chains[-1]['kills']:  # it ended before its time: so long does it take now
                        longest = 0.9 * chains[-1]['seconds']
                    print(key, chains[-1], flush=True)
                    if not chains[-1]['lost'] and chains[-1]['equal']:
                        shutil.rmtree(place)
                results[key] = dict(
                    kills=sum(one['kills'] for one in chains),
                    chains=len(chains),
                    lost=sum(one['lost'] for one in chains),
                    equal=sum(one['equal'] for one in chains),
                    seconds_undisturbed=round(longest, 1),
                )
                out.parent.mkdir(parents=True, exist_ok=True)
                out.write_text(json.dumps(results, indent=1) + '\n')
    return all(one['lost'] == 0 and one['equal'] == one['chains'] for one in results.values())


if __name__ == '__main__':
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--out', type=Path, default=Path('kills.json'))
    parser.add_argument('--kills', type=int, default=25, help='at random moments, for each of the four kinds of run')
    parser.add_argument('--writes', type=int, default=5, help='while a checkpoint is written, likewise')
    parser.add_argument('--names', nargs='+', choices=list(CONFIGS), default=list(CONFIGS))
    parser.add_argument('--processes', nargs='+', type=int, default=[1, 2])
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        good = campaign(args.out, args.kills, args.writes, args.names, Path(place), args.processes)
    print('no run was lost' if good else 'runs were lost')
    raise SystemExit(not good)
