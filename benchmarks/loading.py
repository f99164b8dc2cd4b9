"""Seconds and peak memory until a dataset knows its rows: label files of the published sizes, and ten million rows.

    python benchmarks/loading.py                       # all of them, files in a temporary folder: 1 GB, minutes
    python benchmarks/loading.py --only CsvFaces --rows 10000000

Every dataset is loaded by a process of its own that does nothing else. Seconds are those of the constructor: reading
the label file, checking it, and looking for the images; imports are not counted. `of work` is the processor's time,
which is about what an idle machine takes. Memory is the peak of the whole process, beside what it had before loading,
which is Python, torch and mmpretrain. The images are empty files: no pixel is read, but for those in fer2013.csv.
AffectNet is read twice, as its second time reads what the first has kept.
"""

import argparse
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np

from mmfer import datasets

AFFECTNET = 283_901
FER2013 = 35_887


def touch(folder: Path, names: Iterable[str]) -> None:
    """Empty images."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        os.close(os.open(folder / name, os.O_CREAT | os.O_WRONLY))


def make_rafdb(root: Path, rows: int) -> None:
    """A list of RAF-DB's form."""
    stems = [f'train_{i:06d}' for i in range(rows)]
    touch(root / 'basic/Image/aligned', (f'{stem}_aligned.jpg' for stem in stems))
    (root / 'basic/EmoLabel').mkdir()
    (root / 'basic/EmoLabel/list_patition_label.txt').write_text(
        ''.join(f'{stem}.jpg {i % 7 + 1}\n' for i, stem in enumerate(stems))
    )


def make_csv(root: Path, rows: int) -> None:
    """A csv of names and labels; of more than two million images only those that are looked for are there."""
    words = ('happy', 'sad', 'fear', 'anger', 'surprise', 'disgust', 'neutral')
    root.mkdir()
    with (root / 'faces.csv').open('w') as stream:
        stream.write('name,label\n')
        for start in range(0, rows, 100_000):
            stream.writelines(
                f'{i // 10_000:04d}/{i:08d}.jpg,{words[i % 7]}\n' for i in range(start, min(start + 100_000, rows))
            )
    shown = range(rows) if rows <= 2_000_000 else np.linspace(0, rows - 1, 10_000, dtype=np.int64).tolist()
    for i in shown:
        folder = root / f'{i // 10_000:04d}'
        folder.mkdir(exist_ok=True)
        touch(folder, [f'{i:08d}.jpg'])


def make_affectnet(root: Path, rows: int) -> None:
    """training.csv with 68 points a row."""
    text = ';'.join(f'{value:.2f}' for value in np.random.default_rng(0).uniform(0, 224, 136))
    touch(root / 'Manually_Annotated_Images/1', (f'{i:06d}.jpg' for i in range(rows)))
    with (root / 'training.csv').open('w') as stream:
        stream.write(
            'subDirectory_filePath,face_x,face_y,face_width,face_height,facial_landmarks,expression,valence,arousal\n'
        )
        stream.writelines(f'1/{i:06d}.jpg,10,12,200,200,{text},{i % 7},0.25,-0.125\n' for i in range(rows))


def make_fer2013(root: Path, rows: int) -> None:
    """fer2013.csv; a thousand different faces."""
    random = np.random.default_rng(0)
    faces = [' '.join(map(str, face)) for face in random.integers(0, 256, (1000, 48 * 48)).tolist()]
    root.mkdir()
    with (root / 'fer2013.csv').open('w') as stream:
        stream.write('emotion,pixels,Usage\n')
        stream.writelines(
            f'{i % 7},{faces[i % 1000]},{"Training" if i < 0.8 * rows else "PrivateTest"}\n' for i in range(rows)
        )


MADE: dict[str, tuple[Callable[[Path, int], None], int, int]] = {
    # Maker, rows, and how often it is loaded.
    'RAFDB': (make_rafdb, AFFECTNET, 1),
    'CsvFaces': (make_csv, AFFECTNET, 1),
    'AffectNet': (make_affectnet, AFFECTNET, 2),
    'FER2013': (make_fer2013, FER2013, 1),
    'CsvFaces, huge': (make_csv, 10_000_000, 1),
}


def load(name: str, root: str) -> None:
    """Loads one dataset; prints its rows, seconds, seconds of work, and MiB of the process before and at its peak."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    start, start_of_work = time.perf_counter(), time.process_time()
    rows = len(getattr(datasets, name)(root))
    seconds, work = time.perf_counter() - start, time.process_time() - start_of_work
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(f'measured {rows} {seconds} {work} {before / 1024} {peak / 1024}')


def main() -> None:
    """Makes the files, measures, prints a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--only', nargs='+', choices=MADE, default=list(MADE))
    parser.add_argument('--rows', type=int, help='instead of the published number')
    parser.add_argument('--load', nargs=2, metavar=('DATASET', 'ROOT'), help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.load:
        load(*args.load)
        return
    print(f'{"dataset":<16}{"time":>6}{"rows":>13}{"seconds":>10}{"of work":>9}{"peak MiB":>11}{"before":>9}')
    for kind in args.only:
        make, published, times = MADE[kind]
        name = kind.partition(',')[0]
        with tempfile.TemporaryDirectory() as folder:
            make(Path(folder, 'data'), args.rows or published)
            environment = {**os.environ, 'MMFER_CACHE': f'{folder}/cache'}
            for number in range(1, times + 1):
                output = subprocess.run(
                    [sys.executable, __file__, '--load', name, f'{folder}/data'],
                    env=environment,
                    check=True,
                    capture_output=True,
                    text=True,
                ).stdout
                rows, seconds, work, before, peak = output.rpartition('measured ')[2].split()
                print(
                    f'{kind:<16}{number:>6}{int(rows):>13,}{float(seconds):>10.2f}{float(work):>9.2f}{float(peak):>11.0f}'
                    f'{float(before):>9.0f}',
                    flush=True,
                )


if __name__ == '__main__':
    main()
