"""Whether backbone, neck and head fit each other, seen when they are put together and not in the first batch."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from mmpretrain.models import GeneralizedMeanPooling, GlobalAveragePooling, ImageClassifier
from torch import Tensor, nn

from mmfer.models.classifiers.cures import MAP_SWITCHES, what_pools, with_switch
from mmfer.models.necks import ARM
from mmfer.models.probing.feature_maps import Feature, Size
from mmfer.models.probing.trial import first_line, known_size, learn_layouts, picture, trial_sizes, undisturbed

POOLS = (GlobalAveragePooling, GeneralizedMeanPooling)
"""Necks that take [N, C, H, W] and would pool anything else along the wrong axes, in silence."""

NAMES = {'NCHW': '[N, C, H, W]', 'NHWC': '[N, H, W, C]', 'tokens': 'tokens [N, L, C]', 'NCL': '[N, C, L]'}


@torch.no_grad()
def check_fit(model: ImageClassifier, supervised: bool = False) -> None:
    """Runs two pictures through a classifier.

    Where nothing tells the size of its images, it is refused if it fits none of the usual ones.

    Args:
        model: The classifier.
        supervised: Whether methods will ask it for scores [N, K]; some of mmpretrain's heads give several.

    Raises:
        ValueError: Its parts do not fit; names what to set.
    """
    misfits = []
    for size in trial_sizes(model):
        with undisturbed(model):
            try:
                features = _run_backbone(model, size)
                if features is not None:
                    _check_features(model, features, size, supervised)
                    return
            except ValueError as error:
                misfits.append(error)
    if misfits:
        raise misfits[0]


def _run_backbone(model: ImageClassifier, size: Size) -> Any:
    """What the backbone gives; None if it does not run on images of this size, or not here."""
    try:
        return model.backbone(picture(model.backbone, size))
    except Exception as error:
        made_for_another_device = isinstance(error, NotImplementedError) or 'cuda' in str(error).lower()
        if known_size(model) is None or made_for_another_device:
            return None
        raise ValueError(
            f'{type(model.backbone).__name__} does not take images of {size[0]} x {size[1]} px '
            f'(data_preprocessor.size): {first_line(error)}'
        ) from error


def _check_features(model: ImageClassifier, features: Any, size: Size, supervised: bool) -> None:
    giver = f'the backbone ({type(model.backbone).__name__})'
    if model.neck is not None:
        _check_map(model, features, size)
        if isinstance(model.neck, ARM) and known_size(model) is None:  # then of the size that it was built for
            features = (picture(model.backbone, model.neck.map_size, channels=Feature(features).as_map().size(1)),)
        features = _run_neck(model, features, size)
        giver = type(model.neck).__name__
    if model.head is not None:
        _run_head(model, features, giver, size, supervised)


def _check_map(model: ImageClassifier, features: Any, size: Size) -> None:
    """Refuses a neck that takes maps behind a backbone that gives none, or them in another way."""
    kind, backbone, last = type(model.neck).__name__, type(model.backbone).__name__, _seen(model, features, size)
    any_layout = isinstance(model.neck, ARM)
    if not any_layout and not isinstance(model.neck, POOLS):
        return
    pools = 'NCL' if isinstance(getattr(model.neck, 'gap', None), nn.AdaptiveAvgPool1d) else 'NCHW'
    if last.layout is None:
        cure = f'model.neck=None and model.head.in_channels={last.tensor.size(-1)}'
        for setting, value in MAP_SWITCHES.items():
            found = with_switch(model, setting, value, size)
            if found is not None and any_layout:
                channels, *cells = found.as_map().shape[1:]
                more = model.neck.settings(channels, tuple(cells))
                cure = f'model.backbone.{setting}={value}{more and f", {more}"}, or {cure}'
        raise ValueError(
            f'{kind} takes a map, but {backbone} gives {_shape(last.tensor)}, which is pooled already: set {cure}'
        )
    if not any_layout and last.layout.kind != pools:
        raise ValueError(
            f'{kind} pools {NAMES[pools]}, but {backbone} gives {NAMES[last.layout.kind]}, {_shape(last.tensor)}: '
            f'set {what_pools(model, last)}'
        )


def _run_neck(model: ImageClassifier, features: Any, size: Size) -> Any:
    neck, kind, backbone = model.neck, type(model.neck).__name__, type(model.backbone).__name__
    try:
        return neck(features)
    except ValueError:  # a sentence of its own, such as ARM's
        raise
    except Exception as error:
        given, own = getattr(neck, 'out_channels', None), _in_channels(model.head)
        if isinstance(given, int) and own is not None and own != given:
            raise ValueError(_sentence(kind, given, own)) from None
        last = Feature(features, size)
        wide, takes = last.as_map().size(1), getattr(neck, 'in_channels', None)
        cure = f'; set model.neck.in_channels={wide}' if isinstance(takes, int) and takes != wide else ''
        raise ValueError(
            f'{kind} does not take what {backbone} gives, {_shape(last.tensor)}: {first_line(error)}{cure}'
        ) from error


def _run_head(model: ImageClassifier, features: Any, giver: str, size: Size, supervised: bool) -> None:
    head, last = model.head, Feature(features, size)
    kind, own, given = type(head).__name__, _in_channels(head), _shape(last.tensor)
    with _first_misfit(head) as misfit:
        try:
            scores = head(features)
        except Exception as error:
            if misfit and own is not None and last.layout is None:
                raise ValueError(_sentence(giver, misfit[0], own)) from None
            scores = error
    if (isinstance(scores, Tensor) and scores.ndim == 2) or not (supervised or isinstance(scores, Exception)):
        return
    if last.layout is not None:
        last = _seen(model, features, size) if model.neck is None else last
        raise ValueError(
            f'{kind} takes vectors [N, D], but {giver} gives {given}, which nothing has pooled: set '
            f'{what_pools(model, last)}'
        )
    if isinstance(scores, Exception):
        raise ValueError(f'{kind} does not take what {giver} gives, {given}: {first_line(scores)}') from scores
    found = _shape(scores) if isinstance(scores, Tensor) else f'a {type(scores).__name__}'
    raise ValueError(f'{kind} gives {found}, no scores [N, K]: methods need a head that gives them')


@contextmanager
def _first_misfit(head: nn.Module) -> Iterator[list[int]]:
    """Yields a list that gets the width of what the first linear layer is given that takes another one."""
    found: list[int] = []

    def look(layer: nn.Module, inputs: tuple[Any, ...]) -> None:
        given = inputs[0][-1] if inputs and isinstance(inputs[0], tuple | list) else inputs[0] if inputs else None
        if isinstance(given, Tensor) and given.size(-1) != layer.in_features and not found:
            found.append(given.size(-1))

    handles = [m.register_forward_pre_hook(look) for m in head.modules() if isinstance(m, nn.Linear)]
    try:
        yield found
    finally:
        for handle in handles:
            handle.remove()


def _in_channels(head: nn.Module | None) -> int | None:
    """The width that a head was built for."""
    own = getattr(head, 'in_channels', None)
    if isinstance(own, int):
        return own
    layer = next((m for m in head.modules() if isinstance(m, nn.Linear)), None) if head is not None else None
    return None if layer is None else layer.in_features


def _sentence(giver: str, given: int, own: int) -> str:
    return f'{giver} gives {given} features, but head.in_channels is {own}: set model.head.in_channels={given}'


def _seen(model: ImageClassifier, features: Any, size: Size) -> Feature:
    """What the backbone gives, with the layout that a trial run tells where shapes do not."""
    last = Feature(features, size)
    if last.certain:
        return last
    return Feature(features, size, learn_layouts(model.backbone, [''], model.backbone, [size]).get(''))


def _shape(tensor: Tensor) -> str:
    return f'[N, {", ".join(map(str, tensor.shape[1:]))}]'
