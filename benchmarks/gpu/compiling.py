"""Which networks `torch.compile` may compile."""

from __future__ import annotations

from torch import nn


class Refused(Exception):
    """Says why a model is not measured in a setting."""


def check_compiles(model: nn.Module) -> None:
    """Lets a built model through whose network may be compiled.

    Raises:
        Refused: It may not be.
    """
    taps = [path for path in model.supervision.taps.paths.values() if path.split('.')[0] == 'backbone']
    if taps:
        raise Refused(f'a tap looks into the network: {", ".join(taps)}')
