"""What to set where a backbone gives its features in another way than a neck or head takes them."""

from __future__ import annotations

from typing import Any

from mmpretrain.models import ImageClassifier

from mmfer.models.necks import ARM
from mmfer.models.necks.windows import fit_upscale
from mmfer.models.probing.feature_maps import Feature, Size
from mmfer.models.probing.trial import picture

MAP_SWITCHES = {'gap_before_final_norm': False, 'out_type': 'featmap'}
"""Settings by which backbones of mmpretrain that pool can be made to give their map."""


def with_switch(model: ImageClassifier, setting: str, value: Any, size: Size) -> Feature | None:
    """The map that the backbone gives with a setting changed, if it has that and gives one."""
    backbone = model.backbone
    if not hasattr(backbone, setting):
        return None
    before = getattr(backbone, setting)
    setattr(backbone, setting, value)
    try:
        found = Feature(backbone(picture(backbone, size)), size)
    except Exception:  # it has no such value
        return None
    finally:
        setattr(backbone, setting, before)
    return None if found.layout is None else found


def what_pools(model: ImageClassifier, last: Feature) -> str:
    """What pools a map as it is held."""
    channels, *cells = last.as_map().shape[1:]
    kind = last.layout.kind if last.layout is not None else ''  # it has one: it is a map
    if kind in ('NCHW', 'NCL'):
        dim = ', dim=1' if kind == 'NCL' else ''
        return f'model.neck=dict(type="GlobalAveragePooling"{dim}) and model.head.in_channels={channels}'
    if type(model.backbone).__name__ == 'TIMMBackbone':  # gives [N, C, H, W] then
        return (
            'model.backbone.features_only=True, model.backbone.feature_cls=getter, model.backbone.out_indices=[-1], '
            f'model.neck=dict(type="GlobalAveragePooling") and model.head.in_channels={channels}'
        )
    neck = ARM(channels, tuple(cells), fit_upscale(channels, 16))
    return (
        f'model.neck=dict(_delete_=True, type="mmfer.ARM", in_channels={channels}, map_size={neck.map_size}, '
        f'upscale={neck.upscale}) and model.head.in_channels={neck.out_channels}, as ARM takes any, or write a neck '
        '(docs/add_a_part.md)'
    )
