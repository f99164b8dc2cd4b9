"""Names of a backbone's tensors, as the files of many training programs have them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from torch import Tensor

NO_BACKBONE = ('fc', 'feature', 'classifier', 'head', 'output_layer', 'neck', 'supervision', 'data_preprocessor')
"""What stands beside a backbone: identity or ImageNet classifiers, and the rest of this framework's checkpoints."""

PREFIXES = ('module', 'encoder', 'features', 'backbone')
"""What training programs put before a backbone's names; not stripped where the backbone itself has such a child."""

SEQUENTIAL = {'0': 'conv1', '1': 'bn1', '4': 'layer1', '5': 'layer2', '6': 'layer3', '7': 'layer4'}
"""Names in `nn.Sequential(*resnet.children())`, which many FER repositories call `features`."""


def backbone_tensors(content: Mapping[str, Any], wanted: Mapping[str, Tensor]) -> tuple[dict[str, Tensor], list[str]]:
    """Backbone tensors under torchvision's names, and the keys that belong to no backbone."""
    weights = {str(key): value for key, value in content.items() if isinstance(value, Tensor)}
    ignored: list[str] = []
    own = {key.split('.')[0] for key in wanted}
    prefix = re.compile(rf'^({"|".join(name for name in PREFIXES if name not in own)})\.')
    while any(prefix.match(key) for key in weights):
        if any(key.startswith('backbone.') for key in weights):  # a whole classifier: nothing else is the backbone
            ignored += [key for key in weights if not key.startswith('backbone.')]
            weights = {key: value for key, value in weights.items() if key.startswith('backbone.')}
        weights = {prefix.sub('', key): value for key, value in weights.items()}
    heads = [key for key in weights if (top := key.split('.')[0]) in NO_BACKBONE and top not in own]
    weights = {key: value for key, value in weights.items() if key not in heads}
    if 'features' in own:
        weights = _from_vgg(weights, wanted)
    elif '0.weight' in weights:
        weights = {_from_sequential(key): value for key, value in weights.items()}
    return weights, ignored + heads


def _from_sequential(key: str) -> str:
    number, _, rest = key.partition('.')
    return f'{SEQUENTIAL.get(number, number)}.{rest}'


def _from_vgg(weights: Mapping[str, Any], wanted: Mapping[str, Any]) -> dict[str, Tensor]:
    """A VGG's layers, which torchvision numbers one by one, under mmpretrain's names.

    The n-th convolution there is the n-th here, where it is one layer with its norm. What has no place keeps its name,
    and is left over.
    """
    places = iter([key.removesuffix('.conv.weight') for key in wanted if key.endswith('.conv.weight')])
    numbered = {key: match for key in weights if (match := re.fullmatch(r'(?:features\.)?(\d+)\.(\w+)', key))}
    renamed = {key: value for key, value in weights.items() if key not in numbered}
    place: str | None = None
    convolutions = {match[1] for key, match in numbered.items() if weights[key].ndim == 4}
    for number in sorted({match[1] for match in numbered.values()}, key=int):
        if number in convolutions:
            place = next(places, None)
        kind = 'conv' if number in convolutions else 'bn'
        for key, match in numbered.items():
            if match[1] == number:
                renamed[f'{place}.{kind}.{match[2]}' if place else key] = weights[key]
    return renamed
