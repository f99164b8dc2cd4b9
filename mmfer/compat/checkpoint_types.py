"""What mmengine's checkpoints hold besides tensors."""

import pickle
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from mmengine.logging import HistoryBuffer


# Symptom: `--resume` and `load_from` stop with `Weights only load failed ... HistoryBuffer was not an allowed global`.
# torch >= 2.6 unpickles nothing but tensors and plain containers; mmengine's checkpoints hold the message hub, that is
# HistoryBuffers of NumPy arrays and scalars. Both names of NumPy's module: NumPy 1 wrote the checkpoints of OpenMMLab's
# model zoo. Object arrays stay forbidden. A HistoryBuffer also pickles its methods, as calls of `getattr`, which must
# not be allowed as such: a file could reach anything with it. So its name stands for a function that knows those
# methods and nothing else.
# Upstream: https://github.com/open-mmlab/mmengine/issues/1655 and #1670, in no release yet.
# Delete at mmengine > 0.10.7, if its own cure is neither `weights_only=False` nor an allowed `getattr`.
def allow_checkpoint_types() -> None:
    """Lets torch read histories and NumPy arrays, and nothing else, with ``weights_only``."""
    rebuild_array: Any = np.empty(0).__reduce__()[0]
    rebuild_scalar: Any = np.float64(0).__reduce__()[0]
    torch.serialization.add_safe_globals(
        [
            HistoryBuffer,
            np.ndarray,
            np.dtype,
            *{type(np.dtype(code)) for code in '?bhilqBHILQefdgU'},
            *[(rebuild_array, f'numpy.{core}.multiarray._reconstruct') for core in ('core', '_core')],
            *[(rebuild_scalar, f'numpy.{core}.multiarray.scalar') for core in ('core', '_core')],
            (_statistic, 'builtins.getattr'),
        ]
    )


def _statistic(owner: object, name: str) -> Callable[..., Any]:
    if owner is not HistoryBuffer or name not in ('min', 'max', 'current', 'mean'):
        raise pickle.UnpicklingError(f'Weights only load failed: a checkpoint may not ask for {name!r} of {owner!r}')
    return getattr(HistoryBuffer, name)
