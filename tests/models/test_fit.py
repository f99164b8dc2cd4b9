"""Backbone, neck and head that do not fit are refused when a classifier is built, with what to set."""

import copy

import pytest
import torch
from mmpretrain.models import ClsDataPreprocessor
from tiny import CE, faces, network, total
from torch import nn

from mmfer.models.classifiers import FERClassifier

POOL = dict(type='GlobalAveragePooling')


def classifier(backbone=None, neck=POOL, head=None, size=64, **options) -> FERClassifier:
    parts = copy.deepcopy(network())
    parts['backbone'] = backbone if isinstance(backbone, nn.Module) else parts['backbone'] | (backbone or {})
    if isinstance(head, nn.Module):
        parts['head'] = head
    else:
        parts['head'] |= head or {}
    options.setdefault('data_preprocessor', dict(type='mmfer.FaceDataPreprocessor', size=size))
    return FERClassifier(**parts | dict(neck=neck), supervision=dict(cls=CE), **options)


def step(model, size=64):
    losses = model.train()(*faces(4, size=size), mode='loss')
    total(losses).backward()
    assert total(losses).isfinite()


def refused(said, **parts):
    with pytest.raises(ValueError, match=said) as caught:
        classifier(**parts)
    assert '\n' not in str(caught.value)


ARM = dict(type='mmfer.ARM', in_channels=64, map_size=2, upscale=4)


def test_a_deeper_network_needs_a_wider_head():
    said = r'^GlobalAveragePooling gives 256 features, but head.in_channels is 64: set model.head.in_channels=256$'
    refused(said, backbone=dict(depth=50))
    step(classifier(backbone=dict(depth=50), head=dict(in_channels=256)))


@pytest.mark.parametrize('kind', ['mmfer.SCNHead', 'VisionTransformerClsHead', 'LinearClsHead'])
def test_every_head_is_told_its_width(kind):
    said = 'gives 64 features, but head.in_channels is 99: set model.head.in_channels=64$'
    refused(said, head=dict(type=kind, in_channels=99))
    step(classifier(head=dict(type=kind, in_channels=64)))


def test_a_head_with_hidden_layers_too():
    head = dict(type='StackedLinearClsHead', mid_channels=[32], in_channels=99)
    refused('gives 64 features, but head.in_channels is 99', head=head)
    step(classifier(head=head | dict(in_channels=64)))


def test_of_several_outputs_the_last_counts():
    refused('gives 32 features, but head.in_channels is 64', backbone=dict(out_indices=(0, 2)))
    step(classifier(backbone=dict(out_indices=(0, 1, 2, 3))))


def test_a_map_that_nothing_pools():
    said = (
        r'LinearClsHead takes vectors \[N, D\], but the backbone \(ResNet\) gives \[N, 64, 2, 2\], which nothing has '
        r'pooled: set model.neck=dict\(type="GlobalAveragePooling"\) and model.head.in_channels=64$'
    )
    refused(said, neck=None)


@pytest.mark.parametrize(
    ('backbone', 'neck', 'settings'),
    [
        ({}, ARM | dict(map_size=7), 'model.neck.map_size=2 and model.head.in_channels=25'),
        (dict(depth=50), ARM, 'model.neck.in_channels=256$'),
        ({}, ARM | dict(in_channels=512, upscale=16), 'model.neck.in_channels=64 and model.neck.upscale=8$'),
    ],
)
def test_arm_is_held_against_the_map_of_the_inputs_to_come(backbone, neck, settings):
    refused(f'set {settings}', backbone=backbone, neck=neck, head=dict(in_channels=25))


def test_arm_of_another_width_than_the_head():
    refused('ARM gives 25 features, but head.in_channels is 121: set model.head.in_channels=25$', neck=ARM,
            head=dict(in_channels=121))  # fmt: skip
    step(classifier(neck=ARM, head=dict(in_channels=25)))


class Turned(nn.Module):
    """A backbone whose maps are [N, H, W, C]."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 16, 3, 16, 1)

    def forward(self, images):
        return (self.conv(images).relu().permute(0, 2, 3, 1),)


def test_pooling_along_the_wrong_axes_is_refused():
    """16 x 4 numbers would be pooled to 4."""
    refused(
        r'GlobalAveragePooling pools \[N, C, H, W\], but Turned gives \[N, H, W, C\], \[N, 4, 4, 16\]: set model.neck='
        r'dict\(_delete_=True, type="mmfer.ARM", in_channels=16, map_size=\(4, 4\), upscale=4\) and '
        r'model.head.in_channels=81',
        backbone=Turned(),
        head=dict(in_channels=4),
    )
    neck = dict(type='mmfer.ARM', in_channels=16, map_size=(4, 4), upscale=4)
    step(classifier(backbone=Turned(), neck=neck, head=dict(in_channels=81)))


class Dictionary(Turned):
    """One that gives a dict."""

    def forward(self, images):
        return dict(early=images, late=self.conv(images))


class Late(nn.Module):
    """A neck for it."""

    def forward(self, features):
        return (features['late'].mean((2, 3)),)


class Bare(nn.Linear):
    """A head with a forward and nothing else."""

    def forward(self, features):
        return super().forward(features[-1])


def test_parts_of_ones_own_may_hand_over_what_they_like():
    step(classifier(backbone=Dictionary(), neck=Late(), head=Bare(16, 3)))
    refused('Late gives 16 features, but head.in_channels is 9: set model.head.in_channels=16', backbone=Dictionary(),
            neck=Late(), head=Bare(9, 3))  # fmt: skip


def test_scores_must_be_scores():
    class Twins(Bare):
        def forward(self, features):
            return super().forward(features), super().forward(features)

    refused(r'Twins gives a tuple, no scores \[N, K\]', head=Twins(64, 3))


def test_without_methods_a_head_may_give_what_it_likes():
    class Twins(Bare):
        def forward(self, features):
            return super().forward(features), super().forward(features)

    parts = network() | dict(head=Twins(64, 3))
    assert FERClassifier(**parts).supervision is None
    with pytest.raises(ValueError, match='mat1|head.in_channels is 9'):
        FERClassifier(**network() | dict(head=Bare(9, 3)))


def test_a_backbone_that_pools_can_be_told_not_to():
    tiny = dict(type='ConvNeXt', arch=dict(depths=[1] * 4, channels=[8, 8, 8, 16]))
    neck = dict(type='mmfer.ARM', in_channels=16, map_size=2, upscale=4)
    parts = dict(
        backbone=tiny,
        neck=neck,
        head=dict(type='LinearClsHead', num_classes=3, in_channels=25),
        data_preprocessor=dict(type='mmfer.FaceDataPreprocessor', size=64),
        supervision=dict(cls=CE),
    )
    said = r'pooled already: set model.backbone.gap_before_final_norm=False, or model.neck=None and model.head'
    with pytest.raises(ValueError, match=said):
        FERClassifier(**copy.deepcopy(parts))
    tiny['gap_before_final_norm'] = False
    step(FERClassifier(**parts))


def test_a_size_that_the_backbone_does_not_take():
    class Small(Turned):
        def forward(self, images):
            assert images.size(2) <= 32, 'at most 32 px'
            return (self.conv(images),)

    refused(r'Small does not take images of 64 x 64 px \(data_preprocessor.size\): at most 32 px', backbone=Small(),
            head=dict(in_channels=16))  # fmt: skip
    step(classifier(backbone=Small(), head=dict(in_channels=16), size=32), size=32)


# --- where the size of the images is not known ---


def unsized(**parts):
    return classifier(**parts, data_preprocessor=ClsDataPreprocessor())


def test_what_does_not_depend_on_it_is_refused():
    with pytest.raises(ValueError, match='set model.head.in_channels=256'):
        unsized(backbone=dict(depth=50))
    with pytest.raises(ValueError, match='set model.neck.in_channels=256'):
        unsized(backbone=dict(depth=50), neck=ARM, head=dict(in_channels=25))
    with pytest.raises(ValueError, match='ARM gives 25 features, but head.in_channels is 24'):
        unsized(neck=ARM, head=dict(in_channels=24))


def test_what_does_is_left_to_the_first_step():
    model = unsized(neck=ARM | dict(map_size=3), head=dict(in_channels=25))
    step(model, size=96)
    with pytest.raises(ValueError, match='this input gives 2 x 2: set model.neck.map_size=2'):
        step(model)


def test_a_backbone_that_does_not_run_here_is_let_alone():
    class OnGPU(Turned):
        def forward(self, images):
            raise RuntimeError('this kernel needs CUDA')

    assert classifier(backbone=OnGPU(), head=dict(in_channels=16)).backbone is not None


def test_looking_leaves_the_network_and_the_random_numbers_as_they_were():
    torch.manual_seed(5)
    expected = torch.rand(3)
    parts = {key: value for key, value in network().items()}
    from mmpretrain.registry import MODELS

    backbone = MODELS.build(parts['backbone'])
    backbone.layer1.eval()
    modes = [module.training for module in backbone.modules()]
    before = copy.deepcopy(backbone.state_dict())
    head = Bare(64, 3)
    torch.manual_seed(5)
    model = classifier(backbone=backbone, head=head)
    assert torch.equal(torch.rand(3), expected)
    assert [module.training for module in model.backbone.modules()] == modes
    for key, value in model.backbone.state_dict().items():
        assert torch.equal(value, before[key])
