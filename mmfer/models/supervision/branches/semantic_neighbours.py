"""Neighbours of a face: the same face, semantically a little changed (SNA)."""

from collections.abc import Mapping
from pathlib import Path
from pickle import UnpicklingError
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mmfer.functional import kl_from_logits
from mmfer.models.supervision.step import frozen_buffers
from mmfer.registry import MODELS

HOW_TO_MAKE = 'python tools/train.py configs/sna/autoencoder_rafdb.py (or the autoencoder_*.py of your data)'
KINDS = ('random', 'adversarial')


@MODELS.register_module()
class SemanticNeighbours(nn.Module):
    """Changes each face a little in the latent space of an autoencoder, and predicts the changed face.

    The change is decoded as a residual, ``x~ = x + up(G(E(x) + d, s) - G(E(x), s))``, so that the blur of the
    reconstruction cancels and d = 0 gives x to the bit. Two kinds, with the standard deviation of each latent as the
    unit of d:

    - ``'random'``: d ~ s N(0, I), s ~ U(0, `max_noise`) a face. One more pass of the network.
    - ``'adversarial'``: d is of length `radius` and points to where the prediction changes most. One power step finds
      the direction, as in `VAT <https://arxiv.org/abs/1704.03976>`_: the gradient of KL(p(x) || p(x~)) at a tiny random
      d, as it vanishes at d = 0. A second pass, with a backward one to the faces only.

    The passes use the batch's own statistics and leave no trace in the network's. The gradient reaches the network
    through ``p(x~)`` only; the autoencoder gets none and stays in eval mode. The idea is that of
    `SNA <https://arxiv.org/abs/2004.12725>`_, of which only the abstract is public to us; the rest is reconstruction.

    Args:
        autoencoder: Config of a :class:`~mmfer.models.autoencoders.FaceAutoEncoder`, as it was trained; or a module with
            its ``encode``, ``decode`` and ``latent_std``.
        checkpoint: Its weights. Read when a run begins, not when the model is built for testing. None: random ones,
            for tests.
        kind: ``'random'`` or ``'adversarial'``.
        max_noise: Largest s of random changes.
        radius: Length of adversarial changes. Random ones of strength s are about s sqrt(D) long, D = 128 latents.
        xi: Length of the random d where the gradient is taken; much less drowns in rounding.

    Raises:
        ValueError: If one of them makes no sense, or the network's preprocessor does not say how it normalises.

    Shapes:
        inputs: [N, 3, H, W]; logits: [N, K].
        publishes: neighbour_logits [N, K].
    """

    publishes = ('neighbour_logits',)

    def __init__(
        self,
        autoencoder: Mapping | nn.Module,
        checkpoint: str | None = None,
        kind: str = 'random',
        max_noise: float = 0.5,
        radius: float = 2.0,
        xi: float = 0.1,
    ):
        super().__init__()
        if kind not in KINDS:
            raise ValueError(f'SemanticNeighbours: kind must be one of {", ".join(KINDS)}, got {kind!r}')
        for name, value in (('max_noise', max_noise), ('radius', radius), ('xi', xi)):
            if value < 0 or (value == 0 and name == 'xi'):
                raise ValueError(f'SemanticNeighbours: {name} must be positive, got {value}')
        self.autoencoder = MODELS.build(dict(autoencoder)) if isinstance(autoencoder, Mapping) else autoencoder
        self.autoencoder.requires_grad_(False).eval()
        self.checkpoint, self.kind = checkpoint, kind
        self.max_noise, self.radius, self.xi = max_noise, radius, xi

    def train(self, mode: bool = True):
        """The autoencoder stays in eval mode whatever the classifier does."""
        super().train(mode)
        self.autoencoder.eval()
        return self

    def check(self, model: nn.Module) -> None:
        """Refuses networks whose normalisation is not known."""
        pixel_range(model)

    def initialize(self, _model: nn.Module, _pretrained: bool) -> None:
        """Reads the autoencoder's weights."""
        if self.checkpoint is not None:
            load_autoencoder(self.autoencoder, self.checkpoint)

    def forward(self, model: nn.Module, inputs: Tensor, logits: Tensor) -> dict[str, Tensor]:
        """Publishes the prediction for each face's neighbour."""
        with frozen_buffers(model):
            neighbours = self.neighbours(model, inputs, logits)
            return {'neighbour_logits': predict(model, neighbours)}

    def neighbours(self, model: nn.Module, inputs: Tensor, logits: Tensor) -> Tensor:
        """The changed faces [N, 3, H, W], normalised as `inputs`, without a graph."""
        # Differences of two drawings are small: half precision would leave little of them.
        with torch.autocast(inputs.device.type, enabled=False), torch.no_grad():
            surroundings = Surroundings.of(self.autoencoder, inputs.detach().float(), pixel_range(model))
            std = surroundings.std
            if self.kind == 'random':
                noise = self.max_noise * torch.rand(len(inputs), device=inputs.device)
                change = noise[:, None] * torch.randn(len(inputs), len(std), device=inputs.device)
                return surroundings.changed(change * std, noise)
            noise = torch.full((len(inputs),), self.radius / len(std)**0.5, device=inputs.device)
            origin = surroundings.drawn(noise)
        direction = self.adverse_direction(model, surroundings, logits.detach(), noise, origin)
        with torch.autocast(inputs.device.type, enabled=False), torch.no_grad():
            return surroundings.changed(self.radius * std * direction, noise, origin)
