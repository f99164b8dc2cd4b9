"""Registries of this package: what `type='acme_fer.X'` in a config means.

MMEngine imports `acme_fer.registry` when it meets that prefix, and then the `locations` of the registry that it needs;
so there are no `custom_imports` in any config.
"""

from mmengine import registry as mmengine

MODELS = mmengine.Registry(
    'model',
    parent=mmengine.MODELS,
    scope='acme_fer',
    locations=['acme_fer.losses', 'acme_fer.necks', 'acme_fer.refiners'],
)
DATASETS = mmengine.Registry('dataset', parent=mmengine.DATASETS, scope='acme_fer', locations=['acme_fer.datasets'])
