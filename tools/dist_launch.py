"""torchrun for tools/dist_train.sh: passes signals on to the processes, and gives their exit code back."""

import os
import signal
import sys

from torch.distributed import run
from torch.distributed.elastic.multiprocessing import SignalException
from torch.distributed.elastic.multiprocessing.errors import ChildFailedError

STOPPED, INTERRUPTED = 75, 130


def main() -> None:
    """Runs what follows, as `python -m torch.distributed.run` does."""
    os.environ['MMFER_LAUNCHER'] = str(os.getpid())
    for number in (signal.SIGUSR1, signal.SIGUSR2):  # torchrun knows SIGTERM, and gives 30 s to save
        signal.signal(number, lambda *_: os.kill(os.getpid(), signal.SIGTERM))
    try:
        run.run(run.parse_args(sys.argv[1:]))
    except SignalException as stop:
        raise SystemExit(INTERRUPTED if stop.sigval == signal.SIGINT else STOPPED) from None
    except ChildFailedError as error:
        codes = {rank: failure.exitcode for rank, failure in error.failures.items()}
        for rank, code in codes.items():
            if code < 0:
                name = signal.Signals(-code).name
                print(
                    f'mmfer: error: process {rank} was ended by {name}'
                    + ' (the system does that where memory runs out)' * (name == 'SIGKILL'),
                    file=sys.stderr,
                )
        raise SystemExit(next((code for code in (STOPPED, INTERRUPTED) if code in codes.values()), 1)) from None


if __name__ == '__main__':
    main()
