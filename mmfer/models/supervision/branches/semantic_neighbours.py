"""Neighbours of a face: the same face, semantically a little changed (SNA)."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mmfer.functional import kl_from_logits
from mmfer.models.autoencoders import Neighbourhood, load_autoencoder
from mmfer.models.preprocessing.data_preprocessor import FaceDataPreprocessor
from mmfer.models.supervision.part import Part, Surroundings
from mmfer.models.supervision.remaking import remade_maps
from mmfer.models.supervision.step import frozen_buffers
from mmfer.registry import MODELS

KINDS = ('random', 'adversarial')
SCALE = 1024
"""Of the divergence whose gradient's direction counts, so that it does not underflow in half precision."""


@MODELS.register_module()
class SemanticNeighbours(Part):
    """Changes each face a little in the latent space of an autoencoder, and predicts the changed face.

    See :class:`~mmfer.models.autoencoders.Neighbourhood` for how a change d of the latents becomes a face. Two kinds,
    the standard deviation of each latent being the unit of d:

    - ``'random'``: d ~ s N(0, I) with s ~ U(0, `max_noise`) a face. One more pass of the network.
    - ``'adversarial'``: d is of length `radius` and points where the prediction changes most. One power step finds the
      direction, as in `VAT <https://arxiv.org/abs/1704.03976>`_: the gradient of KL(p(x) || p(x~)) at a short random d,
      as it vanishes at d = 0. Two more passes of the network, one of them with a backward pass to the latents.

    These passes use the batch's own statistics and leave the network's as they were. Only the last one has a graph, so
    that the gradient reaches the network through p(x~) alone. The autoencoder gets none, stays in eval mode, and is
    left out of exported weights. The idea is that of `SNA <https://arxiv.org/abs/2004.12725>`_, of which we had the
    abstract alone; the rest is our reconstruction.

    Args:
        autoencoder: Config of a :class:`~mmfer.models.autoencoders.FaceAutoEncoder`, as it was trained; or a module
            with its ``encode``, ``decode`` and ``latent_std``.
        checkpoint: Its weights: a file, or the work folder of its training. Read when a run begins, not when the model
            is built for testing. None: random ones, for tests.
        kind: ``'random'`` or ``'adversarial'``.
        max_noise: Largest s of random changes.
        radius: Length of adversarial changes; random ones of strength s are about s sqrt(D) long, with D = 128.
        xi: How far the random d at which the gradient is taken moves a latent (root mean square). It must stand out
            from rounding: with 1e-6 the direction is noise, with .01 it still is in half precision.

    Raises:
        ValueError: If one of them makes no sense, or the network's preprocessor does not say how it normalises.

    Shapes:
        inputs: [N, 3, H, W]; logits: [N, K].
        publishes: neighbour_logits [N, K].
    """

    publishes = ('neighbour_logits',)

    def __init__(
        self,
        autoencoder: Mapping[str, Any] | nn.Module,
        checkpoint: str | None = None,
        kind: str = 'random',
        max_noise: float = 0.5,
        radius: float = 2.0,
        xi: float = 0.1,
    ):
        super().__init__()
        if kind not in KINDS:
            raise ValueError(f'SemanticNeighbours: kind must be one of {", ".join(KINDS)}, got {kind!r}')
        for name, value in (('max_noise', max_noise), ('radius', radius)):
            if not value >= 0:
                raise ValueError(f'SemanticNeighbours: {name} must not be negative, got {value}')
        if not xi > 0:
            raise ValueError(f'SemanticNeighbours: xi must be positive, got {xi}; at 0 the gradient vanishes')
        self.autoencoder = MODELS.build(dict(autoencoder)) if isinstance(autoencoder, Mapping) else autoencoder
        self.autoencoder.requires_grad_(False).eval()
        self.checkpoint, self.kind = checkpoint, kind
        self.max_noise, self.radius, self.xi = max_noise, radius, xi
        self._model: Callable[[], nn.Module | None] = lambda: None

    def train(self, mode: bool = True) -> SemanticNeighbours:
        """The autoencoder stays in eval mode whatever the classifier does."""
        super().train(mode)
        self.autoencoder.eval()
        return self

    def check_run(self, faces: int, max_epochs: int) -> None:
        """Refuses changes of no size.

        Raises:
            ValueError: Each face would be its own neighbour.
        """
        name = 'max_noise' if self.kind == 'random' else 'radius'
        if not getattr(self, name) > 0:
            raise ValueError(
                f'SemanticNeighbours(kind={self.kind!r}) with {name}={getattr(self, name)} changes no face, so that '
                f'each would be its own neighbour: set {name} above 0, or take the method out with None'
            )

    def setup(self, model: nn.Module, supervision: Surroundings) -> None:
        """Notes around which network it stands."""
        self._model = weakref.ref(model)  # not as a module: the model would be a part of its own part

    def check(self, model: nn.Module, wrapper: nn.Module | None = None) -> None:
        """Refuses networks whose normalisation is not known."""
        normalisation(model)

    def uncompiled(self, model: nn.Module) -> list[nn.Module]:
        """The autoencoder, whose halves are called, and not itself."""
        return [self.autoencoder]

    def initialize(self, model: nn.Module, pretrained: bool) -> None:
        """Reads the autoencoder's weights."""
        if self.checkpoint is not None:
            load_autoencoder(self.autoencoder, self.checkpoint)

    def around(self) -> AbstractContextManager[None]:
        """What lets the network's own pass hold less, as all of it is there while a neighbour's pass runs."""
        model = self._model()
        return nullcontext() if model is None else remade_maps(model)

    def forward(self, model: nn.Module, inputs: Tensor, logits: Tensor) -> dict[str, Tensor]:
        """Publishes the prediction for each face's neighbour."""
        with frozen_buffers(model):
            neighbours = self.neighbours(model, inputs, logits)
            with remade_maps(model):
                return {'neighbour_logits': predict(model, neighbours)}

    def neighbours(self, model: nn.Module, inputs: Tensor, logits: Tensor) -> Tensor:
        """The changed faces [N, 3, H, W], normalised as `inputs` are, without a graph.

        The adversarial kind runs the network: call it within ``frozen_buffers(model)``.
        """
        around = Neighbourhood(self.autoencoder, inputs.detach(), *normalisation(model))
        with torch.no_grad():
            if self.kind == 'random':
                noise = self.max_noise * torch.rand_like(around.latents[:, 0])
                change = noise[:, None] * self.autoencoder.latent_std * torch.randn_like(around.latents)
                return around.changed(change, noise)
            # The decoder is told the strength of random changes of this length.
            noise = torch.full_like(around.latents[:, 0], self.radius / around.latents.size(1) ** 0.5)
            drawn = around.drawn(noise)
            direction = self._adverse_direction(model, around, logits.detach(), noise, drawn)
            return around.changed(self.radius * self.autoencoder.latent_std * direction, noise, drawn)

    def _adverse_direction(
        self, model: nn.Module, around: Neighbourhood, logits: Tensor, noise: Tensor, drawn: Tensor
    ) -> Tensor:
        """Where a change of each face moves the prediction most, unit vectors [N, D]; zero where nothing moves it."""
        start = F.normalize(torch.randn_like(around.latents), dim=1).requires_grad_()
        with torch.enable_grad():
            length = self.xi * start.size(1) ** 0.5
            with remade_maps(model, share=0):  # the decoder's maps come on top
                probe = around.changed(length * self.autoencoder.latent_std * start, noise, drawn)
                moved = predict(model, probe)
            divergence = kl_from_logits(logits.to(start.dtype), moved.to(start.dtype))
            # Not backward(): the network's weights must not gather this gradient.
            (gradient,) = torch.autograd.grad(SCALE * divergence.sum(), start)
        return F.normalize(gradient, dim=1)


def predict(model: nn.Module, faces: Tensor) -> Tensor:
    """Class scores [N, K], past the hooks of taps."""
    return model.head(model.extract_feat(faces))


def normalisation(model: nn.Module) -> tuple[Tensor | float, Tensor | float]:
    """Mean and standard deviation by which the network's preprocessor normalises, of RGB pixels in [0, 1].

    Raises:
        ValueError: If it does not say so.
    """
    preprocessor = getattr(model, 'data_preprocessor', None)
    if preprocessor is None:  # a bare module: what it takes is the autoencoder's own range
        return 0.5, 0.5
    if not isinstance(preprocessor, FaceDataPreprocessor):
        raise ValueError(
            f'SemanticNeighbours does not know what {type(preprocessor).__name__} makes of pixels: set '
            'data_preprocessor.type="mmfer.FaceDataPreprocessor"'
        )
    if not preprocessor.to_rgb:
        raise ValueError('SemanticNeighbours draws RGB faces: set data_preprocessor.to_rgb=True')
    return preprocessor.mean, preprocessor.std
