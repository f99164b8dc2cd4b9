"""Which parts of a checkpoint's config may be built: known ones, that open nothing the checkpoint names."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any

from mmengine.registry import DATASETS, FUNCTIONS, MODELS, TRANSFORMS, Registry

from mmfer.apis.checkpoints.stored_config import SCOPES, find_part, other_package
from mmfer.datasets import ConcatFaces, FaceDataset
from mmfer.datasets.labels.schema import ORDERS

NAME_THE_CONFIG = (
    'name the config that it was trained with (tools/test.py CONFIG CHECKPOINT, tools/predict.py SOURCE --config '
    'CONFIG --checkpoint CHECKPOINT)'
)
_TRAINING = ('pretrained', 'init_cfg', 'supervision', 'train_cfg', 'augment', 'augment_normalized', 'batch_augments')
"""Keys of a model and its preprocessor that only training reads; some of them load files or fetch them."""


class StoredParts:
    """Takes over from a stored config what is known to be harmless.

    Args:
        source: The checkpoint, for messages.
        scope: What its config calls `default_scope`.
        allow: Packages whose parts may be named besides `SCOPES`.

    Raises:
        ValueError: By every method: a part of another package, one that is not known, or a file or address.
    """

    def __init__(self, source: str | Path, scope: Any, allow: Collection[str]):
        self.source, self.allow = source, allow
        self._check_package(f'{scope}.*', 'default_scope')
        self.scope = str(scope)

    def part(self, registry: Registry, settings: Any, key: str) -> Any:
        """What `settings['type']` stands for."""
        name = settings.get('type') if isinstance(settings, dict) else settings
        self._check_package(name, key)
        found = find_part(registry, name, self.scope, self.allow)
        if found is None:
            known = ', '.join((*SCOPES, *self.allow))
            raise ValueError(
                f'{self.source} names {name!r} ({key}), which is no {registry.name} of {known}: {NAME_THE_CONFIG}'
            )
        return found

    def _check_package(self, name: Any, key: str) -> None:
        package = other_package(name, self.allow)
        if package:
            raise ValueError(
                f'{self.source} names {name!r} ({key}), a part of the package {package}, and a checkpoint alone '
                f'imports nothing but {", ".join(SCOPES)}: if you trust {package}, say --allow {package}, or '
                f'{NAME_THE_CONFIG}'
            )

    def network(self, settings: Mapping[str, Any], key: str) -> dict[str, Any]:
        """A model or preprocessor without what only training reads."""
        return self._checked(dict(settings), key, MODELS)

    def pipeline(self, loader: Mapping[str, Any]) -> list[dict[str, Any]]:
        """How faces are prepared."""
        dataset = loader.get('dataset')
        while isinstance(dataset, dict) and 'pipeline' not in dataset:
            dataset = dataset.get('dataset') or next(iter(dataset.get('datasets') or []), None)
        steps = dataset.get('pipeline') if isinstance(dataset, dict) else None
        if not isinstance(steps, list | tuple):
            raise ValueError(f'{self.source} does not say how faces are prepared for the network: {NAME_THE_CONFIG}')
        return [self._checked(step, f'pipeline.{i}', TRANSFORMS) for i, step in enumerate(steps)]

    def loader(self, loader: Mapping[str, Any], key: str) -> dict[str, Any]:
        """A loader of faces in their order."""
        kept = {name: loader[name] for name in ('batch_size', 'num_workers', 'persistent_workers') if name in loader}
        if 'collate_fn' in loader:
            kept['collate_fn'] = self._checked(loader['collate_fn'], f'{key}.collate_fn', FUNCTIONS)
        sampler = dict(type='DefaultSampler', shuffle=False)
        return dict(**kept, sampler=sampler, dataset=self._dataset(loader.get('dataset'), f'{key}.dataset'))

    def _dataset(self, settings: Any, key: str) -> dict[str, Any]:
        part = self.part(DATASETS, settings, key)
        ours = part.__module__.split('.')[0] == 'mmfer' and issubclass(part, FaceDataset | ConcatFaces)
        if not ours and settings['type'].rpartition('.')[0] not in self.allow:
            # MMEngine's own datasets unpickle annotation files, and fetch them where they are named as addresses.
            raise ValueError(
                f'{self.source} was tested on {part.__name__} ({key}), which is none of the datasets of mmfer, and '
                f'others may run code from their files: {NAME_THE_CONFIG}'
            )
        if isinstance(settings.get('datasets'), list | tuple):
            parts = [self._dataset(one, f'{key}.datasets.{i}') for i, one in enumerate(settings['datasets'])]
            return dict(type=settings['type'], datasets=parts)
        made = {name: value for name, value in settings.items() if name not in ('pipeline', 'landmarks', 'metainfo')}
        if made.get('cache_dir') is not None:
            del made['cache_dir']  # a folder that is written to
        classes = settings['metainfo'].get('classes') if isinstance(settings.get('metainfo'), dict) else None
        if isinstance(classes, list | tuple) or (
            isinstance(classes, str) and classes in ORDERS
        ):  # MMEngine opens whatever else is a text
            made['metainfo'] = dict(classes=classes)
        self._no_scopes(made, key)
        return made | dict(pipeline=self.pipeline(dict(dataset=settings)))

    def _checked(self, value: Any, key: str, registry: Registry) -> Any:
        """A value of whose dicts every type is known, and of whose texts none is a file or an address."""
        self._no_scopes(value, key)
        if isinstance(value, list | tuple):
            return type(value)(self._checked(item, f'{key}.{i}', registry) for i, item in enumerate(value))
        if isinstance(value, str) and any(sign in value for sign in '/\\:~'):
            raise ValueError(
                f'{self.source} names a file or address ({key}={value!r}), and those of a checkpoint are '
                f'not read: {NAME_THE_CONFIG}'
            )
        if not isinstance(value, dict):
            return value
        if 'type' in value:
            self.part(registry, value, key)
        return {
            name: item if name == 'type' else self._checked(item, f'{key}.{name}', registry)
            for name, item in value.items()
            if name not in _TRAINING
        }

    def _no_scopes(self, value: Any, key: str) -> None:
        for settings in _dicts(value):
            if '_scope_' in settings:
                self._check_package(f'{settings["_scope_"]}.*', f'{key}._scope_')


def _dicts(value: Any) -> Iterator[dict[str, Any]]:
    if isinstance(value, dict):
        yield value
    if isinstance(value, dict | list | tuple):
        for item in value.values() if isinstance(value, dict) else value:
            yield from _dicts(item)
