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
    home, owner = tempfile.mkdtemp(prefix='mmfer-home-'), os.getpid()
    atexit.register(lambda: os.getpid() == owner and shutil.rmtree(home, ignore_errors=True))
    return home


def _has_name() -> bool:
    try:
        return bool(pwd.getpwuid(os.getuid()).pw_name)
    except KeyError:
        return False
