"""Warnings that no user of mmfer can act on."""

import warnings

from mmengine.fileio import file_client


# Symptom: every run begins with warnings that no user of mmfer can act on: mmcv-lite says that it lacks operators which
# mmpretrain never calls; mmengine passes arguments that torch >= 2.15 and 2.4 want to rename, and uses what Python 3.12
# and 3.13 deprecate; torch's DDP takes the strides of a 1x1 convolution in channels_last, which mean nothing, for a
# loss of speed.
# Delete each when its owner no longer warns.
def silence_warnings_about_others() -> None:
    """Filters the warnings."""
    for category, message in (
        (UserWarning, 'Fail to import ``MultiScaleDeformableAttention``'),
        (FutureWarning, '`broadcast_buffers` is deprecated'),
        (UserWarning, 'Grad strides do not match bucket view strides'),
        (FutureWarning, r'`torch\.cuda\.amp\.GradScaler\(args\.\.\.\)` is deprecated'),
        (DeprecationWarning, "'pkgutil.find_loader' is deprecated"),
        (DeprecationWarning, "'maxsplit' is passed as positional argument"),
    ):
        warnings.filterwarnings('ignore', message, category)


# Symptom: every training warns that "FileClient" and "HardDiskBackend" will be deprecated; mmengine's CheckpointHook
# uses them, whatever the config says. No thread upstream. Delete when it no longer does.
def silence_file_client() -> None:
    """Lets mmengine's file client say nothing; that file says nothing else."""
    file_client.print_log = lambda *args, **kwargs: None
