"""Looks with a fuzzer that follows the branches of the code for files at which a reader fails, for as long as it may.

    python tests/fuzz/fuzz.py --seconds 600                      # all readers, one after the other
    python tests/fuzz/fuzz.py --seconds 600 landmark_npz pack_file

A file at which one fails is kept in ``--out``, and belongs in tests/fuzz/test_found.py once the fault is mended. A run
goes on with what earlier ones have found there.
"""

from __future__ import annotations

import argparse
import logging
import os
import subprocess
import sys
import tempfile
import warnings
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:1] = [str(ROOT), str(ROOT / 'tests')]

try:
    import atheris
except ImportError:
    sys.exit('the fuzzer is not installed: pip install atheris')

with atheris.instrument_imports(include=['mmfer.datasets', 'mmfer.apis.data', 'zipfile', 'csv', 'json']):
    from fuzz.mutations import ODD
    from fuzz.readers import READERS


def main() -> None:
    """Runs the readers, each in a process of its own: the fuzzer ends its process."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('readers', nargs='*', metavar='READER', help=f'of {", ".join(READERS)}; default: all')
    parser.add_argument('--seconds', type=int, default=600, help='of each reader (default: 600)')
    parser.add_argument('--out', type=Path, default=Path('fuzz'), help='where files are kept (default: fuzz)')
    args = parser.parse_args()
    if unknown := set(args.readers) - READERS.keys():
        parser.error(f'no reader is called {", ".join(unknown)}; there are {", ".join(READERS)}')
    if len(args.readers) == 1:
        fuzz(args.readers[0], args.out, args.seconds)
    failed = []
    for name in args.readers or READERS:
        command = [sys.executable, __file__, name, '--seconds', str(args.seconds), '--out', str(args.out)]
        if subprocess.run(command, check=False).returncode:
            failed.append(name)
    sys.exit(f'files at which readers fail are in {args.out}: {", ".join(failed)}' if failed else 0)


def fuzz(name: str, out: Path, seconds: int) -> None:
    """Fuzzes one reader and ends the process."""
    corpus = out.absolute() / name
    corpus.mkdir(parents=True, exist_ok=True)
    os.environ['MMFER_CACHE'] = ''
    warnings.simplefilter('error')
    logging.disable(logging.CRITICAL)
    with tempfile.TemporaryDirectory(dir='/dev/shm' if os.path.isdir('/dev/shm') else None) as folder:
        reader = READERS[name](Path(folder))
        # The first byte says whether the rest is a file or what is made into one.
        for mark, seeds in ((b'\0', reader.seeds), (b'\1', reader.parts)):
            for i, seed in enumerate(seeds):
                (corpus / f'seed-{mark[0]}-{i}').write_bytes(mark + seed)

        def run(data: bytes) -> None:
            reader.check(reader.wrap(data[1:]) if data[:1] == b'\1' else data[1:])

        words = Path(folder, 'words')
        words.write_text(''.join('"' + ''.join(f'\\x{byte:02x}' for byte in odd[:60]) + '"\n' for odd in ODD if odd))
        limits = ['-timeout=30', '-rss_limit_mb=4096', '-max_len=20000', '-len_control=0', '-print_final_stats=1']
        options = [f'-max_total_time={seconds}', f'-artifact_prefix={out.absolute()}/{name}-', f'-dict={words}']
        atheris.Setup([sys.argv[0], *limits, *options, str(corpus)], run)
        atheris.Fuzz()


if __name__ == '__main__':
    main()
