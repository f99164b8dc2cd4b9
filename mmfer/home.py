"""A home for users that have none: in containers, under Slurm, and wherever a number without a name runs things."""

import atexit
import os
import pwd
import shutil
import tempfile
from pathlib import Path


# Symptom: `import mmengine` ends with `RuntimeError: could not determine the home directory for '~/.cache'`, of yapf's
# platformdirs, where there is no HOME and passwd does not have the user's number. torch asks for the name later.
# Delete when both ask when they need it.
def have_home() -> None:
    """Makes sure that there is a home and a user's name; a home that had to be made lasts as long as the process."""
    try:
        Path.home()
    except RuntimeError:
        os.environ['HOME'] = _made_for_this_process()
    if not any(os.environ.get(name) for name in ('LOGNAME', 'USER', 'LNAME', 'USERNAME')) and not _has_name():
        os.environ['USER'] = f'user{os.getuid()}'


def _made_for_this_process() -> str:
    home = tempfile.mkdtemp(prefix='mmfer-home-')
    atexit.register(_remove, home, os.getpid())
    return home


def _remove(home: str, owner: int) -> None:
    if os.getpid() == owner:  # not in processes that were forked from it
        shutil.rmtree(home, ignore_errors=True)


def _has_name() -> bool:
    try:
        return bool(pwd.getpwuid(os.getuid()).pw_name)
    except KeyError:
        return False
