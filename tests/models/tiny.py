"""A small classifier, a small LA-Net around it, and faces to train it with.

A module of its own because the spawned processes of test_two_ranks import it.
"""

import torch
from miniature import face_points
from torch import Tensor, nn

from mmfer.models.classifiers import FERClassifier
from mmfer.models.supervision import Part
from mmfer.models.supervision.taps import Taps
from mmfer.structures import FaceBatch

CE = dict(losses=dict(ce=dict(type='mmfer.CrossEntropyLoss')))


def network(classes: int = 3, channels: int = 8) -> dict:
    """What a stock `ImageClassifier` takes: a ResNet-18, thin by default."""
    return dict(
        backbone=dict(
            type='ResNet',
            depth=18,
            num_stages=4,
            out_indices=(3,),
            style='pytorch',
            stem_channels=channels,
            base_channels=channels,
        ),
        neck=dict(type='GlobalAveragePooling'),
        head=dict(type='LinearClsHead', num_classes=classes, in_channels=8 * channels),
    )


def lanet(queue_size: int = 12, momentum: float = 0.9) -> dict:
    """The published LA-Net with a small queue and a quick key encoder."""
    return dict(
        taps=dict(shared='backbone.layer1'),
        branches=dict(
            landmark=dict(type='mmfer.LandmarkBranch', num_landmarks=19, inputs=dict(x='shared')),
            keys=dict(type='mmfer.MomentumKeys', queue_size=queue_size, momentum=momentum),
        ),
        refiners=dict(lde=dict(type='mmfer.LabelDistributionEstimation', num_neighbours=2)),
        losses=dict(
            heatmap=dict(type='mmfer.LandmarkHeatmapLoss'),
            kl=dict(type='mmfer.DistributionKLLoss'),
            contrast=dict(type='mmfer.LandmarkContrastiveLoss'),
        ),
    )


def classifier(supervision: dict | None = None, seed: int = 0, size: int = 32, **options) -> FERClassifier:
    """A thin ResNet-18; `options` go to :func:`network` or to the classifier."""
    torch.manual_seed(seed)
    cfg = network(**{key: options.pop(key) for key in ('classes', 'channels') if key in options})
    preprocessor = dict(type='mmfer.FaceDataPreprocessor', size=size)
    return FERClassifier(**cfg | options, data_preprocessor=preprocessor, supervision=supervision)


def lanet_classifier(samples: int = 20, seed: int = 0, classes: int = 3, **options) -> FERClassifier:
    """Classifier, cross-entropy and LA-Net, its bank sized for `samples` faces of labels 0, 1, 2, 0, ..."""
    model = classifier(dict(cls=CE, lanet=lanet(**options)), seed=seed, classes=classes)
    model.supervision.bank.allocate(torch.arange(samples) % classes, classes)
    return model


def faces(
    rows: int = 6,
    size: int | tuple[int, int] = 32,
    classes: int = 3,
    seed: int = 0,
    sample_idx: list[int] | None = None,
) -> tuple[Tensor, FaceBatch]:
    """Noise for images and jittered frontal faces for landmarks; the labels are those of `lanet_classifier`."""
    generator = torch.Generator().manual_seed(seed)
    height, width = (size, size) if isinstance(size, int) else size
    inputs = torch.randn(rows, 3, height, width, generator=generator)
    index = torch.arange(rows) if sample_idx is None else torch.tensor(sample_idx)
    points = torch.from_numpy(face_points()) + 0.03 * torch.randn(rows, 68, 2, generator=generator)
    return inputs, FaceBatch(
        label=index % classes,
        sample_idx=index,
        landmarks=points * torch.tensor([width, height]) - 0.5,
        landmark_valid=torch.ones(rows, dtype=torch.bool),
    )


def total(losses: dict[str, Tensor]) -> Tensor:
    """What MMEngine minimises."""
    return torch.stack([value for name, value in losses.items() if 'loss' in name]).sum()


def hooks_of(model: nn.Module) -> int:
    """Forward hooks that hang on any module."""
    return sum(len(module._forward_hooks) + len(module._forward_pre_hooks) for module in model.modules())


class Alone:
    """The surroundings of a part that has none."""

    taps = Taps(nn.Module(), {})

    def publisher(self, name):
        return None

    def width(self, model, name):
        raise ValueError(name)


class TurnTargets(Part):
    """A refiner: the next sample of the global batch gives the target, and this one's index the weight."""

    publishes = ('target', 'weight')

    def forward(self, target: Tensor, sample_idx: Tensor) -> dict[str, Tensor]:
        return {'target': target.roll(-1, 0), 'weight': 1 / (1.0 + sample_idx)}


class OwnRowsLoss(Part):
    """A loss that takes this rank's rows and averages over ranks itself."""

    local_rows = True

    def forward(self, logits: Tensor, target: Tensor, weight: Tensor) -> Tensor:
        from mmfer.functional import mean_over_ranks

        return mean_over_ranks(nn.functional.cross_entropy(logits, target, reduction='none') * weight)


class ToyHead(nn.Linear):
    """The two calls of mmpretrain's linear head that a step makes."""

    def pre_logits(self, feats: tuple[Tensor, ...]) -> Tensor:
        return feats[-1]

    def forward(self, feats: tuple[Tensor, ...]) -> Tensor:
        return super().forward(self.pre_logits(feats))


class ToyClassifier(nn.Module):
    """The smallest network that a Supervision can run: backbone.conv, backbone.deep.relu, head."""

    def __init__(self):
        super().__init__()
        self.backbone = nn.Sequential()
        self.backbone.add_module('conv', nn.Conv2d(3, 4, 3))
        self.backbone.add_module('deep', nn.Sequential())
        self.backbone.deep.add_module('relu', nn.ReLU())
        self.head = ToyHead(4, 3)

    def extract_feat(self, inputs: Tensor) -> tuple[Tensor]:
        return (self.backbone(inputs).mean((2, 3)),)
