"""Trainings on a disk that is too small by one more megabyte each time, gone on with when there is room.

    sudo python benchmarks/full_disk.py --out benchmarks/results/cpu/full_disk.json

The work folder is a small file system in memory (tmpfs, which only root can mount), so that every write of a run is at
some size the one that fails. Each time the run must end with one sentence, every checkpoint that has its name must read
whole, and with room the same command must end bit for bit where a run with room from the beginning ended.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import tempfile
from pathlib import Path
from typing import Any

from kills import Run, differences

from mmfer.structures.tensor_file import read_tensor_file

NAME = 'LA-Net'


def tried(megabytes: int, folder: Path, whole: Any) -> dict[str, Any]:
    """One run with so much room, and what became of it."""
    place = folder / f'disk{megabytes}'
    place.mkdir()
    subprocess.run(['mount', '-t', 'tmpfs', '-o', f'size={megabytes}m', 'tmpfs', place], check=True)  # noqa: S607
    try:
        log = Path(f'{place}.log')
        run = Run(NAME, 1, place / 'run', log)
        run.wait(600)
        said = [line for line in log.read_text().splitlines() if line.startswith('mmfer: error: ')]
        checkpoints = sorted((place / 'run').glob('*.pth'))
        for path in checkpoints:
            read_tensor_file(path)
        subprocess.run(['mount', '-o', 'remount,size=500m', place], check=True)  # noqa: S607
        again = Run(NAME, 1, place / 'run', Path(f'{place}-again.log'))
        again.wait(600)
        result = read_tensor_file(place / 'run' / 'epoch_3.pth') if again.code == 0 else {}
        return dict(
            megabytes=megabytes,
            code=run.code,
            said=said[-1].replace(str(place), '...') if said else '',
            traceback='Traceback' in log.read_text(),
            checkpoints=[path.name for path in checkpoints],
            code_with_room=again.code,
            differ=differences(whole, result)[:5],
        )
    finally:
        subprocess.run(['umount', '-l', place], check=True)  # noqa: S607


def main() -> None:
    """Tries sizes until one is enough."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--out', type=Path, default=Path('full_disk.json'))
    parser.add_argument('--sizes', nargs='+', type=int, help='megabytes; all until one is enough where none are given')
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        alone = Run(NAME, 1, folder / 'whole')
        if not alone.wait(600) or alone.code:
            raise SystemExit(f'the run with room failed: {folder}/whole.log')
        whole = read_tensor_file(folder / 'whole' / 'epoch_3.pth')
        results: list[dict[str, Any]] = []
        for megabytes in args.sizes or range(1, 1000):
            results.append(tried(megabytes, folder, whole))
            print(results[-1], flush=True)
            args.out.parent.mkdir(parents=True, exist_ok=True)
            args.out.write_text(json.dumps(results, indent=1) + '\n')
            if results[-1]['code'] == 0 and not args.sizes:
                break
    good = all(not one['differ'] and not one['traceback'] and (one['code'] == 0 or one['said']) for one in results)
    print('no checkpoint was lost' if good else 'something went wrong')
    raise SystemExit(not good)


if __name__ == '__main__':
    main()
