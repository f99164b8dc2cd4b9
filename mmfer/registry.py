"""Registries of mmfer: children of MMEngine's, so that `type='mmfer.X'` works in every MMEngine config.

`locations` makes a registry import its parts the first time one of them is asked for; no `custom_imports` are needed.
A third party does the same in its own package: a `registry.py` with child registries whose scope is the package's name.
"""

from mmengine import registry as mmengine

__all__ = [
    'DATASETS',
    'DATA_SAMPLERS',
    'FACE_DETECTORS',
    'FUNCTIONS',
    'HOOKS',
    'LANDMARK_DETECTORS',
    'LOOPS',
    'METRICS',
    'MODELS',
    'MODEL_WRAPPERS',
    'OPTIM_WRAPPERS',
    'TRANSFORMS',
]


def _child(name: str, parent: mmengine.Registry, *locations: str) -> mmengine.Registry:
    return mmengine.Registry(name, parent=parent, scope='mmfer', locations=[f'mmfer.{where}' for where in locations])


MODELS = _child('model', mmengine.MODELS, 'models')
"""Classifiers, necks, heads, losses, and the branches and refiners of a supervision."""

DATASETS = _child('dataset', mmengine.DATASETS, 'datasets')
DATA_SAMPLERS = _child('data sampler', mmengine.DATA_SAMPLERS, 'datasets')
TRANSFORMS = _child('transform', mmengine.TRANSFORMS, 'datasets')
FUNCTIONS = _child('function', mmengine.FUNCTIONS, 'datasets')
HOOKS = _child('hook', mmengine.HOOKS, 'engine')
LOOPS = _child('loop', mmengine.LOOPS, 'engine')
OPTIM_WRAPPERS = _child('optim wrapper', mmengine.OPTIM_WRAPPERS, 'engine')
MODEL_WRAPPERS = _child('model wrapper', mmengine.MODEL_WRAPPERS, 'engine')
METRICS = _child('metric', mmengine.METRICS, 'evaluation')

LANDMARK_DETECTORS = mmengine.Registry('landmark detector', scope='mmfer', locations=['mmfer.detectors'])
"""Classes with `detect(images) -> (points, score)`, see `mmfer.detectors`. MMEngine has none, so this is the root."""

FACE_DETECTORS = mmengine.Registry('face detector', scope='mmfer', locations=['mmfer.detectors'])
"""Classes with `detect(images) -> list of Faces`, see `mmfer.detectors`."""
