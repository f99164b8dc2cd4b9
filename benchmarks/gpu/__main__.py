"""Everything that mmfer costs on a GPU, measured in one call that stops in time; call again for what is missing.

    make gpu                                  # all sections, at most 8 minutes
    make gpu ARGS='--minutes 3 --again steps' # steps anew
    make gpu ARGS=--smoke                     # all of it tiny, on whatever is there, into a temporary folder

Sections: `tests` (marked gpu), `steps` of all methods in every setting, `input` (does the GPU wait for faces?), `lanet`
(real training and its authors' form), `small` (faces of 48 and 64 px that lie on the device). Each is written as json
and as a table as soon as a row is measured, into benchmarks/results/gpu/<device>. What each column means:
docs/performance.md.
"""

from __future__ import annotations

import argparse
import platform
import re
import sys
import tempfile
import time
from pathlib import Path

import torch

import mmfer
from benchmarks.gpu import STARTED, device_tests, input, lanet, small, steps
from benchmarks.gpu.faces import ROOT, Faces
from benchmarks.gpu.plan import Unit, work
from benchmarks.gpu.results import Results

SECTIONS = {
    'steps': 'Steps on batches that are ready',
    'lanet': 'LA-Net, R18, 224 px, with real input: 12,271 faces x 80 epochs',
    'input': 'Real input against fixed tensors, bf16',
    'tests': 'Tests on the device',
    'small': 'Small faces that lie on the device, bf16',
}
OUT = ROOT / 'benchmarks/results/gpu'


def parse_args(argv: list[str] | None) -> argparse.Namespace:
    """Reads the command line."""
    parser = argparse.ArgumentParser(
        'benchmarks.gpu', description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('--minutes', type=float, default=8, help='from the start of this process (default: 8)')
    parser.add_argument('--sections', nargs='+', choices=SECTIONS, default=list(SECTIONS))
    parser.add_argument('--again', nargs='+', choices=SECTIONS, default=[], help='measure these anew')
    parser.add_argument('--out', type=Path, help=f'default: {OUT.relative_to(ROOT)}; of --smoke a temporary folder')
    parser.add_argument('--smoke', action='store_true', help='tiny sizes, on a CPU where there is no GPU')
    return parser.parse_args(argv)


def about(device: str) -> dict[str, str]:
    """Device and software."""
    software = f'torch {torch.__version__}, Python {platform.python_version()}, mmfer {mmfer.__version__}'
    return dict(device=steps.device_name(device), software=software)


def all_units(device: str, smoke: bool, place: Path, results: Results) -> list[Unit]:
    """What can be measured."""
    faces = Faces(place, smoke)
    return [
        *steps.units(device, smoke),
        *lanet.units(device, smoke, faces, results),
        *input.units(device, smoke, faces),
        *device_tests.units(place),
        *small.units(device, smoke),
    ]


def main(argv: list[str] | None = None) -> int:
    """Measures what is missing, and prints the table; gives how many rows are new."""
    args = parse_args(argv)
    device = 'cuda' if torch.cuda.is_available() else 'cpu'
    if device == 'cpu' and not args.smoke:
        sys.exit('torch finds no CUDA device here; to try everything in small on this machine: make gpu ARGS=--smoke')
    # In a process that has done other things before, as tests do, minutes count from now.
    until = (STARTED if argv is None else time.monotonic()) + 60 * args.minutes
    with tempfile.TemporaryDirectory() as place:
        known = about(device)
        folder = args.out or (Path(place) / 'results' if args.smoke else OUT)
        results = Results(folder / re.sub(r'\W+', '_', known['device'].lower()), SECTIONS, known)
        for section in args.again:
            results.forget(section)
        every = all_units(device, args.smoke, Path(place), results)
        units = [unit for unit in every if unit.section in args.sections]
        added = work(units, results, until, lambda line: print(line, flush=True))
        print(f'\n{results.table()}')
    for text in results.failures():
        print(f'failed: {text}')
    print(f'{added} new rows' + ('' if args.smoke and not args.out else f' in {results.folder}'))
    return added


if __name__ == '__main__':
    main()
