"""Warnings that no user of mmfer can act on."""

import warnings


# Symptom: every run begins with warnings that no user of mmfer can act on: mmcv-lite says that it lacks operators which
# mmpretrain never calls; mmengine passes arguments that torch >= 2.15 and 2.4 want to rename; torch's DDP takes the
# strides of a 1x1 convolution in channels_last, which mean nothing, for a loss of speed.
# Delete each when its owner no longer warns.
def silence_warnings_about_others() -> None:
    """Filters the warnings."""
    for category, message in (
        (UserWarning, 'Fail to import ``MultiScaleDeformableAttention``'),
        (FutureWarning, '`broadcast_buffers` is deprecated'),
        (UserWarning, 'Grad strides do not match bucket view strides'),
        (FutureWarning, r'`torch\.cuda\.amp\.GradScaler\(args\.\.\.\)` is deprecated'),
    ):
        warnings.filterwarnings('ignore', message, category)
