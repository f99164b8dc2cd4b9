"""Collects what a machine with torch for CUDA lacks for `make gpu`, so that it runs where nothing can be downloaded.

    python benchmarks/gpu_wheels.py --python 3.12       # some 11 MB into .whl, which git ignores
    python benchmarks/gpu_wheels.py --check             # of wheels for this Python: runs the smoke with them alone

Take the clone with .whl to that machine, and type `make gpu` there: without a .venv it unpacks the wheels into .site.
The versions are those of the environment that runs this. Taken for granted are torch and torchvision with what they
need, and what `GRANTED` lists, which images with torch for CUDA usually have; what a machine lacks of these as well
can be named: `--also scipy matplotlib`. OpenCV is granted too, and never collected: its wheels are large, and the usual
one needs a desktop's libraries.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from importlib.metadata import distributions, version
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
FOLDER = ROOT / '.whl'
LACKING = (
    *('mmengine', 'mmpretrain', 'mmcv-lite', 'addict', 'yapf', 'platformdirs', 'termcolor', 'rich', 'mat4py'),
    *('model-index', 'modelindex', 'ordered-set', 'importlib-metadata'),
    *('kornia', 'kornia_rs', 'lazy-importer', 'shtab'),
)
GRANTED = (
    *('torch', 'torchvision', 'triton', 'numpy', 'pillow', 'sympy', 'mpmath', 'networkx', 'jinja2', 'markupsafe'),
    *('filelock', 'fsspec', 'typing_extensions', 'setuptools', 'packaging', 'einops', 'pyyaml', 'tqdm', 'click'),
    *('scipy', 'matplotlib', 'contourpy', 'cycler', 'fonttools', 'kiwisolver', 'pyparsing', 'python-dateutil', 'six'),
    *('markdown', 'markdown-it-py', 'mdurl', 'pygments', 'zipp', 'pytest', 'pluggy', 'iniconfig', 'tifffile'),
    *('opencv-python', 'opencv-python-headless', 'psutil'),
)
PLATFORMS = ('manylinux_2_28', 'manylinux_2_27', 'manylinux_2_17', 'manylinux2014', 'manylinux1')
MOST = 40_000_000
"""Bytes, all together."""


def collect(python: str, machine: str, folder: Path, also: list[str]) -> None:
    """Downloads wheels for a Python on Linux.

    Raises:
        SystemExit: One cannot be had, or they are too large together.
    """
    folder.mkdir(exist_ok=True)
    platforms = [option for name in PLATFORMS for option in ('--platform', f'{name}_{machine}')]
    for name in (*LACKING, *also):
        command = [sys.executable, '-m', 'pip', 'download', '--quiet', '--disable-pip-version-check', '--no-deps']
        command += ['--only-binary=:all:', '--python-version', python, '--implementation', 'cp', *platforms]
        wanted = f'{name}=={version(name)}' if name in LACKING else name
        for old in folder.glob('*.whl'):
            if plain(old.name.partition('-')[0]) == plain(name):
                old.unlink()  # two versions would stop the whole install
        if subprocess.run([*command, '--dest', str(folder), wanted]).returncode:
            sys.exit(f'there is no wheel of {wanted} for Python {python} on {machine}: see what pip says above')
    size = sum(file.stat().st_size for file in folder.glob('*.whl'))
    if size > MOST:
        sys.exit(
            f'the wheels have {size / 1e6:.0f} MB, more than {MOST / 1e6:.0f}: leave out some of {", ".join(also)}'
        )
    print(f'{len([*folder.glob("*.whl")])} wheels, {size / 1e6:.1f} MB, in {folder}')
    print('next, on the machine with the GPU, in this clone: make gpu PYTHON=python3')


def plain(name: str) -> str:
    """A distribution's name as it is compared."""
    return name.lower().replace('_', '-')


def unpack(folder: Path, target: Path) -> None:
    """Installs the wheels into a folder that PYTHONPATH names; nothing is downloaded."""
    command = [
        sys.executable,
        '-m',
        'pip',
        'install',
        '--quiet',
        '--disable-pip-version-check',
        '--no-index',
        '--no-deps',
    ]
    command += ['--no-compile', '--upgrade', '--target', str(target), *map(str, sorted(folder.glob('*.whl')))]
    subprocess.run(command, check=True)


def check(folder: Path) -> int:
    """Runs the smoke with the wheels and what is granted alone; gives its exit code."""
    with tempfile.TemporaryDirectory() as place:
        unpack(folder, Path(place, 'wheels'))
        link_granted(Path(place, 'granted'))
        paths = os.pathsep.join(map(str, (ROOT, f'{place}/wheels', f'{place}/granted')))
        # Not the interpreter of an environment, which would have all that is installed there.
        command = [sys._base_executable, '-m', 'benchmarks.gpu', '--smoke']
        return subprocess.run(command, cwd=ROOT, env={**os.environ, 'PYTHONPATH': paths}).returncode


def link_granted(target: Path) -> None:
    """A folder with those installed packages alone that are granted."""
    granted = {plain(name) for name in GRANTED}
    target.mkdir()
    for found in distributions():
        name = plain(found.metadata['Name'])
        if name in granted or name.startswith(('nvidia-', 'cuda-')):  # torch's own needs
            for top in {file.parts[0] for file in found.files or () if file.parts[0] != '..'}:
                if not (target / top).exists():
                    (target / top).symlink_to(Path(found.locate_file(top)))


def main() -> None:
    """Collects, checks or unpacks."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--python', default='3.12', help='version there (default: 3.12)')
    parser.add_argument('--machine', default='x86_64', help='processor there (default: x86_64)')
    parser.add_argument('--also', nargs='+', default=[], metavar='NAME', help='what that machine lacks, too')
    parser.add_argument('--folder', type=Path, default=FOLDER, help='default: .whl')
    parser.add_argument('--check', action='store_true', help='whether wheels for this Python suffice: collects nothing')
    parser.add_argument('--unpack', type=Path, metavar='TARGET', help='install them into a folder: collects nothing')
    args = parser.parse_args()
    if args.check:
        sys.exit(check(args.folder))
    elif args.unpack:
        unpack(args.folder, args.unpack)
    else:
        collect(args.python, args.machine, args.folder, args.also)


if __name__ == '__main__':
    main()
