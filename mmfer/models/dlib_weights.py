"""dlib's face recognition weights, for our backbone: norms are folded, and the input is what the config makes it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import torch
from mmpretrain.models import ClsDataPreprocessor
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from mmfer.models.backbones import DlibFaceNet
from mmfer.models.backbones.dlib_face_net import STAGES
from mmfer.models.preprocessing.data_preprocessor import FaceDataPreprocessor
from mmfer.structures.dlib_file import DlibLayer, DlibNetwork, read_dlib_network
from mmfer.structures.dlib_models import INSTALL, model_file
from mmfer.structures.tensor_file import UnreadableError

INSTALLED = 'dlib://face'
FILE = 'dlib_face_recognition_resnet_model_v1.dat'


def is_dlib(source: str) -> bool:
    """Whether weights are dlib's: `dlib://face`, or a file that ends with `.dat`."""
    return source.startswith('dlib://') or source.endswith('.dat')


def read_face_net(source: str, backbone: nn.Module, preprocessor: nn.Module | None = None) -> dict[str, Tensor]:
    """Weights of dlib's face recognition by the names of a :class:`~mmfer.models.backbones.DlibFaceNet`.

    Args:
        source: `dlib://face` for the file of the installed package, or a file.
        backbone: What they are for: as many stages, with batch norm or none. What stands behind its stages is called
            `head`.
        preprocessor: What prepares its images. The first convolution is made to fit its mean and std, so that any
            will do. Defaults to None: images are prepared as dlib does.

    Raises:
        FileNotFoundError: The package or the file is missing.
        ValueError: It is another or a damaged file, or the backbone another network.
    """
    if source.startswith('dlib://') and source != INSTALLED:
        raise ValueError(f'there are no weights {source}: known is {INSTALLED}, and files that end with .dat')
    if not isinstance(backbone, DlibFaceNet):
        raise ValueError(
            f"{source} holds dlib's face recognition network, which cannot start a {type(backbone).__name__}: set "
            'model.backbone to dict(type="mmfer.DlibFaceNet"), as configs/baseline/dlibface_rafdb.py does'
        )
    if not isinstance(backbone.norm1, nn.Identity | _BatchNorm):
        raise ValueError(
            f'{source} has no statistics for a {type(backbone.norm1).__name__}: set model.backbone.norm_cfg to None or '
            'to dict(type="BN")'
        )
    path = installed() if source == INSTALLED else Path(source)
    try:
        network = read_dlib_network(path)
        pairs = _convolutions(network)
    except UnreadableError as error:
        raise ValueError(
            f'{path} cannot be read as {FILE} ({error}): check that the download is whole, or take that of the '
            f'package index: {INSTALL} and model.pretrained={INSTALLED}'
        ) from None
    shift, scale = _as_prepared(network, preprocessor)
    weights: dict[str, Tensor] = {}
    for (conv, norm), (weight, bias) in zip(_names(), pairs, strict=True):
        if conv == 'conv1':  # without padding, so that a shift of the input is one of the output
            bias = bias + torch.einsum('oihw,i->o', weight, shift)
            weight = weight * scale.view(1, -1, 1, 1)
        place = '' if conv == 'conv1' or int(conv[len('layer')]) <= backbone.num_stages else 'head.'
        weights |= {f'{place}{name}': value for name, value in _folded(backbone, conv, norm, weight, bias)}
    weights['head.fc.weight'] = network.layers[-1].parts[0].flatten(1).T.double()
    return {name: value.float() for name, value in weights.items()}


def installed() -> Path:
    """The file in the package of dlib's models, none of whose code is run.

    Raises:
        FileNotFoundError: It is not installed.
    """
    try:
        return model_file(FILE)
    except FileNotFoundError as error:
        raise FileNotFoundError(
            f'{INSTALLED}: {error}, or train from scratch with --cfg-options model.pretrained=None'
        ) from None


def _names() -> Iterator[tuple[str, str]]:
    """Each convolution of the network and its norm, from the input up."""
    yield 'conv1', 'norm1'
    for stage, (_, blocks) in enumerate(STAGES, start=1):
        for block in range(blocks):
            for number in (1, 2):
                yield f'layer{stage}.{block}.conv{number}', f'layer{stage}.{block}.norm{number}'


def _kinds() -> Iterator[str]:
    """What its layers are, from the input up."""
    yield from ('con_4', 'affine_', 'relu_', 'max_pool_2')
    for stage, (_, blocks) in enumerate(STAGES):
        for block in range(blocks):
            yield from ('con_4', 'affine_', 'relu_', 'con_4', 'affine_')
            yield from () if stage == 0 or block else ('avg_pool_2',)
            yield from ('add_prev_', 'relu_')
    yield from ('avg_pool_2', 'fc_2')


def _convolutions(network: DlibNetwork) -> list[tuple[Tensor, Tensor]]:
    """Weight and bias of each convolution with the norm behind it, in double precision."""
    found, expected = [layer.kind for layer in network.layers], list(_kinds())
    if found != expected:
        place = next((n for n, (a, b) in enumerate(zip(found, expected, strict=False)) if a != b), None)
        what = f'layer {place} is {found[place]!r}' if place is not None else f'it has {len(found)} layers'
        raise UnreadableError(f"{what}, so it is another of dlib's networks")
    layers = iter(network.layers)
    pairs = [_pair(layer, next(layers)) for layer in layers if layer.kind == 'con_4']
    if pairs[0][0].size(1) != 3:
        raise UnreadableError(f'it takes images of {pairs[0][0].size(1)} colours')
    if len(network.layers[-1].parts) != 1:
        raise UnreadableError(f'its last layer has {len(network.layers[-1].parts)} parts, not 1')
    return pairs


def _pair(convolution: DlibLayer, affine: DlibLayer) -> tuple[Tensor, Tensor]:
    parts = [part.double() for part in (*convolution.parts, *affine.parts)]
    channels = {part.numel() for part in parts[1:]}
    if len(parts) != 4 or channels != {len(parts[0])}:
        raise UnreadableError('the parts of a convolution and its norm have unlike numbers of channels')
    weight, bias, gain, offset = parts[0], *(part.flatten() for part in parts[1:])
    return weight * gain.view(-1, 1, 1, 1), bias * gain + offset


def _as_prepared(network: DlibNetwork, preprocessor: nn.Module | None) -> tuple[Tensor, Tensor]:
    """What makes dlib's input of prepared images: shift and scale per channel."""
    theirs = torch.tensor(network.mean, dtype=torch.float64)
    mean, std = theirs, torch.full((3,), 256.0, dtype=torch.float64)
    if isinstance(preprocessor, FaceDataPreprocessor):  # of [0, 1]
        mean, std = 255 * preprocessor.mean.double().flatten().cpu(), 255 * preprocessor.std.double().flatten().cpu()
    elif isinstance(preprocessor, ClsDataPreprocessor):
        given = preprocessor._enable_normalize
        mean = preprocessor.mean.double().flatten().cpu() if given else torch.zeros_like(mean)
        std = preprocessor.std.double().flatten().cpu() if given else torch.ones_like(std)
    return (mean - theirs) / 256, std.expand(3) / 256


def _folded(backbone: DlibFaceNet, conv: str, norm: str, weight: Tensor, bias: Tensor) -> Iterator[tuple[str, Tensor]]:
    """A convolution with the biases of what follows it: its own, or those of a batch norm that changes nothing else."""
    yield f'{conv}.weight', weight
    if not isinstance(backbone.norm1, _BatchNorm):
        yield f'{conv}.bias', bias
        return
    yield f'{norm}.weight', torch.ones_like(bias)
    yield f'{norm}.bias', bias
    yield f'{norm}.running_mean', torch.zeros_like(bias)
    yield f'{norm}.running_var', torch.ones_like(bias) - backbone.norm1.eps
