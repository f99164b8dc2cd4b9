"""Loads pretrained weights into a backbone and insists that they fit.

Without face pretraining every method of this field loses more than it gains (EAC on RAF-DB: 90 -> 73 % at 10 % noise),
and a key that silently matches nothing is the commonest way to lose it. So a tensor that is missing, of another shape
or left over is an error here, not a log line.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.error import URLError

import torch
from mmengine.logging import print_log
from torch import Tensor, nn

from mmfer.models.dlib_weights import INSTALLED, is_dlib, read_face_net
from mmfer.models.norm_statistics import estimate_statistics
from mmfer.models.weight_names import backbone_tensors
from mmfer.structures.tensor_file import UnreadableError, read_tensor_file

__all__ = ['PretrainedReport', 'load_pretrained']

WRAPPERS = ('state_dict', 'model_state_dict', 'model')
"""Keys under which training programs file their weights."""

SWITCHES = (
    '--cfg-options model.pretrained=None (train from scratch) or '
    '--cfg-options model.pretrained=torchvision://{name} (ImageNet)'
)


FACE_SWITCHES = (
    '--cfg-options model.pretrained=None (train from scratch) or '
    f'--cfg-options model.pretrained={INSTALLED} (faces, of the package index)'
)


@dataclass(frozen=True)
class PretrainedReport:
    """What `load_pretrained` did.

    Args:
        source: File or address.
        matched: Backbone tensors that were loaded.
        expected: Backbone tensors that had to be; the same number, or there would be no report.
        ignored: Keys of the file that belong to no backbone.
    """

    source: str
    matched: int
    expected: int
    ignored: tuple[str, ...] = ()

    def __str__(self) -> str:
        text = f'pretrained: matched {self.matched} / {self.expected} backbone tensors of {self.source}'
        return f'{text}; ignored {_examples(self.ignored)}' if self.ignored else text


def load_pretrained(backbone: nn.Module, source: str | Path, preprocessor: nn.Module | None = None) -> PretrainedReport:
    """Loads a file of weights into a backbone, renaming the known formats' keys.

    Known are torchvision's names, bare or under `state_dict`; the prefixes `module.`, `backbone.`, `encoder.` and
    `features.` (also with the numbers of `nn.Sequential`); a VGG's numbered layers; checkpoints of mmengine. Weights
    from before torch 0.4.1 have no `num_batches_tracked`, which then stays zero.

    Args:
        backbone: The network, changed in place.
        source: A file, `torchvision://resnet18`, or `dlib://face`.
        preprocessor: What prepares the images: dlib's weights are made to fit its mean and std.

    Returns:
        The report, which is printed too.

    Raises:
        FileNotFoundError: The file or its package is missing, or torchvision's cannot be fetched.
        ValueError: The file cannot be read, or does not fit the backbone.
    """
    source = str(source)
    wanted = backbone.state_dict()
    weights, ignored = backbone_tensors(_read(backbone, source, preprocessor), wanted)
    _refuse_ir50(weights, wanted, source, backbone)
    expected = [key for key in wanted if key in weights or not key.endswith('num_batches_tracked')]
    missing = [key for key in expected if key not in weights]
    shapes = [
        f'{key} is {_shape(weights[key])} there and {_shape(wanted[key])} here'
        for key in expected
        if key in weights and weights[key].shape != wanted[key].shape
    ]
    left_over = [key for key in weights if key not in wanted]
    if missing or shapes or left_over:
        problems = [f'{len(missing)} missing ({_examples(missing)})'] if missing else []
        problems += [f'{len(shapes)} of another shape ({_examples(shapes)})'] if shapes else []
        problems += [f'{len(left_over)} left over ({_examples(left_over)})'] if left_over else []
        matched = len(expected) - len(missing) - len(shapes)
        raise ValueError(
            f'pretrained: matched only {matched} / {len(expected)} backbone tensors of {source}: '
            f'{"; ".join(problems)}; give weights of a {_describe(backbone)}, or '
            f'{_switches(backbone)}'
        )
    backbone.load_state_dict({key: weights[key] for key in expected}, strict=False)
    if is_dlib(source):
        estimate_statistics(backbone, source)
    report = PretrainedReport(source, len(expected), len(expected), tuple(ignored))
    print_log(str(report), logger='current')
    return report


def _read(backbone: nn.Module, source: str, preprocessor: nn.Module | None) -> Mapping[str, Any]:
    if source.startswith('torchvision://'):
        return _from_torchvision(source.removeprefix('torchvision://'))
    if source.startswith('dlib://') or (is_dlib(source) and Path(source).is_file()):
        return read_face_net(source, backbone, preprocessor)
    if not Path(source).is_file():
        raise FileNotFoundError(
            f'the pretrained weights {source} are missing: a {_describe(backbone)} trained to recognise faces (for '
            'resnet18_msceleb.pth: on MS-Celeb-1M, published with the repositories of SCN and EAC); put the file '
            f'there, or train without it: {_switches(backbone)}'
        )
    try:
        content = read_tensor_file(source)
    except UnreadableError:
        raise ValueError(
            f'{source} cannot be read as a file of plain tensors, and unpickling anything else may run its code: check '
            'that the download is whole, or convert it once, in a sandbox, to a state_dict saved with torch.save'
        ) from None
    for name in WRAPPERS:
        if isinstance(content, Mapping) and isinstance(content.get(name), Mapping):
            content = content[name]
    if not isinstance(content, Mapping) or not any(isinstance(value, Tensor) for value in content.values()):
        raise ValueError(f'{source} holds a {type(content).__name__} without tensors by name; save a state_dict there')
    return content


def _from_torchvision(name: str) -> Mapping[str, Any]:
    from torchvision.models import get_model_weights, list_models

    if name not in list_models():
        raise ValueError(
            f'torchvision has no model {name!r}; known are for example torchvision://resnet18 and '
            'torchvision://resnet50'
        )
    weights = next(iter(get_model_weights(name)))  # the first is ImageNet V1, which published FER results used
    try:
        return torch.hub.load_state_dict_from_url(weights.url, map_location='cpu', check_hash=True, weights_only=True)
    except (URLError, OSError) as error:
        folder = Path(torch.hub.get_dir()) / 'checkpoints'
        raise FileNotFoundError(
            f'torchvision://{name} cannot be fetched ({error}): download {weights.url} elsewhere and put the file into '
            f'{folder}, or train from scratch with --cfg-options model.pretrained=None'
        ) from None


def _refuse_ir50(weights: Mapping[str, Any], wanted: Mapping[str, Any], source: str, backbone: nn.Module) -> None:
    def is_ir50(keys: Iterable[str]) -> bool:
        return any(key.startswith('input_layer.') for key in keys) and any(key.startswith('body.') for key in keys)

    if is_ir50(weights) and not is_ir50(wanted):
        raise ValueError(
            f'{source} holds an IR-50 face recogniser (its keys are input_layer.* and body.*, its faces 112 px), which '
            f'cannot start a {_describe(backbone)}: give weights of a {_describe(backbone)}, or '
            f'{_switches(backbone)}'
        )


def _switches(backbone: nn.Module) -> str:
    if type(backbone).__name__ == 'DlibFaceNet':
        return FACE_SWITCHES
    family = 'vgg' if type(backbone).__name__ == 'VGG' else 'resnet'
    with_norm = '_bn' if family == 'vgg' and any('.bn.' in key for key in backbone.state_dict()) else ''
    return SWITCHES.format(name=f'{family}{_depth(backbone) or 18}{with_norm}')


def _depth(backbone: nn.Module) -> int | None:
    if hasattr(backbone, 'stage_blocks') and type(backbone).__name__ == 'VGG':
        return sum(backbone.stage_blocks) + 3  # its name counts the linear layers, too
    return getattr(backbone, 'depth', None)


def _describe(backbone: nn.Module) -> str:
    name, depth = type(backbone).__name__, _depth(backbone)
    return name if depth is None else f'{name}-{depth}'


def _shape(value: Tensor) -> str:
    return 'x'.join(map(str, value.shape)) or 'a number'


def _examples(items: Iterable[Any], count: int = 3) -> str:
    items = list(items)
    more = f' and {len(items) - count} more' if len(items) > count else ''
    return ', '.join(items[:count]) + more
