"""Whether a pipeline makes of a face what the network is fed with: tried on the first one."""

from __future__ import annotations

import copy
from collections.abc import Mapping

from mmfer.datasets.columns import Faces
from mmfer.datasets.transforms.pipeline_check import copied
from mmfer.structures.landmark_probe import own_randomness

WHOLE_PIPELINE = "pipeline=[dict(type='mmfer.LoadFace'), dict(type='mmfer.PackFace')]"
"""What reads a face and packs it, as one would write it."""


def try_pipeline(dataset: Faces) -> None:
    """Every step finds what it reads, and the last one packs the face.

    What is wrong with the picture itself is not looked for here.

    Args:
        dataset: With its columns read and its pipeline built.

    Raises:
        ValueError: A step is missing.
    """
    where = f'{type(dataset).__name__} {dataset.split}'
    steps = dataset.pipeline.transforms
    if not steps:
        raise ValueError(f'{where} has no pipeline, which reads its faces: set {WHOLE_PIPELINE}')
    face = copy.deepcopy(dataset.get_data_info(0))
    with own_randomness():
        for step in steps:
            name = type(step).__name__
            try:
                face = copied(step)(face)
            except KeyError as error:
                raise ValueError(
                    f'{where}: {name} of its pipeline needs {error.args[0]!r}, which no step before it gives: faces '
                    f'are read by {WHOLE_PIPELINE}'
                ) from None
            except (ValueError, OSError):  # a bad picture, of which a list comes
                return
            if not isinstance(face, Mapping):  # such as None: the loader takes another face
                return
    if 'inputs' not in face:
        raise ValueError(
            f"{where}: its pipeline ends with {name}, which packs no face ('inputs'): end it with "
            "dict(type='mmfer.PackFace')"
        )
