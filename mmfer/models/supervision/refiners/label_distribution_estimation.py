"""Label distribution estimation (LA-Net)."""

import logging

import torch
from mmengine.logging import print_log
from torch import Tensor, nn

from mmfer.functional import confident_labels, nearest_neighbours, neighbour_average
from mmfer.models.supervision.part import Part, Surroundings
from mmfer.registry import MODELS
from mmfer.structures import Column, SampleBank
from mmfer.structures.ranges import check_range


@MODELS.register_module()
class LabelDistributionEstimation(Part):
    """Estimates every face's label distribution from faces that look and are shaped alike.

    In the expression and in the landmark space, the predictions of a face's nearest neighbours in the global batch are
    averaged with learnt scores; the mean of the two is mixed into what the bank remembers of the face, which starts as
    the observed label. Expression neighbours alone would repeat the network's mistakes; landmark geometry is blind to
    the label noise. See `LA-Net <https://arxiv.org/abs/2307.09023>`_, sec. 3.2.

    The published distribution carries a gradient: the KL term through it is all that trains the score nets.

    Args:
        embedding_dims: Sizes of the two embeddings; by default seen from the network and the landmark branch.
        num_neighbours: k; the batch, over all processes, should have more faces.
        momentum: Share of the remembered distribution, m.
        confidence: Peak from which a distribution gives a class as pseudo-label; below, the face stands for itself.

    Shapes:
        embedding: [N, D]; landmark_embedding: [N, V]; logits: [N, K]; sample_idx: [N].
        publishes: distribution [N, K], pseudo_label [N].
    """

    publishes = ('distribution', 'pseudo_label')

    def __init__(
        self,
        embedding_dims: tuple[int, int] | None = None,
        num_neighbours: int = 8,
        momentum: float = 0.9,
        confidence: float = 0.7,
    ):
        super().__init__()
        if not 0 <= momentum < 1:
            raise ValueError(f'momentum must lie in [0, 1), got {momentum}: at 1 no label could ever be mended')
        check_range('num_neighbours', num_neighbours, 1, whole=True, why='a label is estimated from other faces')
        check_range('confidence', confidence, 0, 1, why='it is a probability, above which a face counts as of a class')
        self.num_neighbours, self.momentum, self.confidence = num_neighbours, momentum, confidence
        self.embedding_dims = embedding_dims
        if embedding_dims:
            self._build(*embedding_dims)

    def setup(self, model: nn.Module, supervision: Surroundings) -> None:
        """Sizes the score nets."""
        if self.embedding_dims is None:
            if supervision.publisher('landmark_embedding') is None:
                raise ValueError(
                    'LabelDistributionEstimation finds no branch that publishes "landmark_embedding"; '
                    'add a LandmarkBranch before it, or set embedding_dims=(D, V)'
                )
            self._build(*(supervision.width(model, name) for name in ('embedding', 'landmark_embedding')))

    def _build(self, expression: int, landmark: int) -> None:
        self.expression_score, self.landmark_score = NeighbourScore(expression), NeighbourScore(landmark)

    def whole_batch(self, all_have_landmarks: bool) -> str:
        """Neighbours are of the batch."""
        return 'looks for the neighbours of a face in its batch'

    def check_run(self, faces: int, max_epochs: int) -> None:
        """Says where a batch has too few faces.

        Raises:
            ValueError: It has a single one.
        """
        if faces < 2:
            raise ValueError(
                'LabelDistributionEstimation looks for neighbours in the batch, which has one face: set a larger '
                'train_dataloader.batch_size'
            )
        if self.num_neighbours > faces - 1:
            print_log(
                f'num_neighbours={self.num_neighbours} of LabelDistributionEstimation, but a face has {faces - 1} '
                f'others in its batch of {faces} (all processes): all of them are its neighbours',
                logger='current',
                level=logging.WARNING,
            )

    def bank_columns(self) -> dict[str, Column]:
        """The remembered distribution starts as the observed label."""
        return {'label_distribution': Column(('num_classes',), start='one_hot')}

    def forward(
        self, embedding: Tensor, landmark_embedding: Tensor, logits: Tensor, sample_idx: Tensor, bank: SampleBank
    ) -> dict[str, Tensor]:
        """Publishes this step's distributions and stages them for the bank."""
        probs = logits.softmax(1)
        estimates = [
            neighbour_average(score(features, neighbours), neighbours, valid, probs)
            for features, score in ((embedding, self.expression_score), (landmark_embedding, self.landmark_score))
            for neighbours, valid in [nearest_neighbours(features, sample_idx, self.num_neighbours)]
        ]
        estimate = torch.stack(estimates).mean(0)
        remembered = bank.read('label_distribution', sample_idx)
        distribution = self.momentum * remembered + (1 - self.momentum) * estimate
        bank.stage('label_distribution', sample_idx, distribution)
        return {
            'distribution': distribution,
            'pseudo_label': confident_labels(distribution.detach(), sample_idx, self.confidence),
        }


class NeighbourScore(nn.Module):
    """Scores how much a neighbour's prediction says about a face.

    ``softmax(MLP([a_i; b_j]))[0]`` with a and b the halves of a linear map of the features. The first layer of the
    MLP is linear in both halves, so it is applied to the B rows, not to the B x k pairs.

    Args:
        dim: Of the features.

    Shapes:
        features: [B, D].
        neighbours: [B, k], indices of rows.
        returns: [B, k], in (0, 1).
    """

    def __init__(self, dim: int):
        super().__init__()
        self.embed = nn.Linear(dim, dim)
        self.pair = nn.Linear(dim, dim // 2)
        self.score = nn.Sequential(nn.ReLU(), nn.Linear(dim // 2, dim // 4), nn.ReLU(), nn.Linear(dim // 4, 2))

    def forward(self, features: Tensor, neighbours: Tensor) -> Tensor:
        """Scores every face's neighbours."""
        face, neighbour = self.embed(features).chunk(2, dim=1)
        for_face, for_neighbour = self.pair.weight.split([face.size(1), neighbour.size(1)], dim=1)
        first = nn.functional.linear(face, for_face, self.pair.bias)
        second = nn.functional.linear(neighbour, for_neighbour)
        picked = nn.functional.embedding(neighbours, second)  # [B, k, d/2]
        return self.score(first[:, None] + picked).softmax(-1)[..., 0]
