"""The labels that a manifest gives to the training set it was made of."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mmfer.datasets.labels.noise_manifest import read_manifest
from mmfer.datasets.labels.schema import canonical
from mmfer.datasets.reading.names import first_other


def labels_from(path: str, names: Sequence[str], labels: np.ndarray, classes: Sequence[str]) -> np.ndarray:
    """The noisy labels of a manifest, for the training set it was made of.

    Args:
        path: The manifest.
        names: N names of images, in the order of the training set.
        labels: Class ids before noise [N].
        classes: K names, in any order that has the manifest's.

    Returns:
        Class ids, int64 [N].

    Raises:
        ValueError: It was made of other faces, labels or classes.
    """
    manifest = read_manifest(path)
    there, here = ([canonical(name) for name in names] for names in (manifest.classes, classes))
    cure = 'give the manifest of these data, or make one with python tools/dataset_tools/noise.py CONFIG OUT.csv'
    if sorted(there) != sorted(here):
        raise ValueError(f'{path} has the classes {", ".join(there)[:500]}, the data set {", ".join(here)}; {cure}')
    if len(manifest.names) != len(names):
        raise ValueError(
            f'{path} is the noise of {len(manifest.names):,} faces, the training set has {len(names):,}; {cure}'
        )
    other = first_other(manifest.names, names)
    if other is not None:
        raise ValueError(
            f'{path} is the noise of other faces: row {other + 1:,} is {manifest.names[other][:500]} there and '
            f'{names[other]} in the training set; {cure}'
        )
    ids = np.array([here.index(name) for name in there])
    differ = np.flatnonzero(ids[manifest.clean] != labels)
    if len(differ):
        first = differ[0]
        raise ValueError(
            f'{path} is the noise of other labels, of {len(differ):,} faces: {names[first]} is '
            f'{there[manifest.clean[first]]} there and {here[labels[first]]} in the training set; {cure}'
        )
    return ids[manifest.noisy]
