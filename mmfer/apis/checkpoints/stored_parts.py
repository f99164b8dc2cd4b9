"""Which parts of a checkpoint's config may be built: known ones, that open nothing the checkpoint names."""

from __future__ import annotations

import os
import re
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
_WORD = re.compile(r'(\w|[- +]|\.(?=\d))*')
"""Texts that are settings, such as 'bilinear' and 'regnetx_1.6gf'. Others may be files, addresses and code (mmpretrain
evaluates the `dtype` of a transform of torchvision), or modules (MMEngine imports 'a.b' to look for a part there)."""
_READERS = ('backend_args', 'file_client_args')
"""Keys that say how files are opened; but for files on disk, MMEngine imports what they name."""
_OF_OTHERS = (
    *(f'mmpretrain.models.{name}' for name in ('multimodal', 'classifiers.hugging_face', 'utils.huggingface')),
    *('mmpretrain.models.utils.tokenizer', 'mmpretrain.utils.'),
)
"""Modules whose parts let the package transformers open, fetch or run what their settings name."""


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
        if getattr(found, '__module__', '').startswith(_OF_OTHERS):
            raise ValueError(
                f'{self.source} names {name!r} ({key}), which may run what its settings name: {NAME_THE_CONFIG}'
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
        """A value of whose dicts every type is known, and whose texts are words."""
        self._no_scopes(value, key)
        if isinstance(value, list | tuple):
            return type(value)(self._checked(item, f'{key}.{i}', registry) for i, item in enumerate(value))
        word = value.replace('.', '') if isinstance(value, str) and key.endswith('.model_name') else value  # timm's
        if isinstance(value, str) and (not _WORD.fullmatch(word) or os.path.isfile(value)):
            raise ValueError(
                f'{self.source} names what may be a file, an address or code ({key}={value!r}), and those of a '
                f'checkpoint are not read: {NAME_THE_CONFIG}'
            )
        if not isinstance(value, dict):
            return value
        if 'type' in value:
            self.part(registry, value, key)
        if isinstance(value.get('norm_layer'), str):  # mmpretrain's TIMMBackbone looks that up as a part
            self.part(MODELS, value['norm_layer'], f'{key}.norm_layer')
        for name in _READERS:
            if value.get(name) is not None and value[name] not in ({'backend': 'disk'}, {'backend': 'local'}):
                raise ValueError(
                    f'{self.source} says how files are opened ({key}.{name}={value[name]!r}), and a checkpoint is not '
                    f'asked that: {NAME_THE_CONFIG}'
                )
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
