"""Faces that are semantically a little changed, by residual decoding."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class Neighbourhood:
    """The faces around given ones, as an autoencoder draws them.

    A change d of the latents z = E(x) gives ``x + up(G(z + d, s) - G(z, s))``: the blur of the reconstruction cancels,
    and d = 0 gives x to the bit. All of it in float32: differences of two drawings are small.

    Args:
        autoencoder: A :class:`~mmfer.models.autoencoders.FaceAutoEncoder`, or what has its ``encode`` and ``decode``.
        faces: Normalised as a classifier's.
        mean: Which was subtracted from them, of pixels in [0, 1].
        std: By which they were divided. By default faces are in [-1, 1], as the autoencoder's own.

    Shapes:
        faces: [N, 3, H, W]; mean, std: numbers or [3, 1, 1].
    """

    def __init__(self, autoencoder: nn.Module, faces: Tensor, mean: Tensor | float = 0.5, std: Tensor | float = 0.5):
        self.autoencoder, self.faces = autoencoder, faces
        self.scale = 0.5 / std  # a grey level counts so much more among these faces than in [-1, 1]
        with self._full_precision(), torch.no_grad():
            self.latents = autoencoder.encode((faces * std + (mean - 0.5)) * 2)

    def drawn(self, noise: Tensor | float) -> Tensor:
        """The reconstructions G(E(x), s) [N, 3, S, S], without a graph."""
        with self._full_precision(), torch.no_grad():
            return self.autoencoder.decode(self.latents, noise)

    def changed(self, change: Tensor, noise: Tensor | float, drawn: Tensor | None = None) -> Tensor:
        """The faces with their latents changed; the gradient flows into `change`.

        Args:
            change: d.
            noise: s, which the decoder is told.
            drawn: ``self.drawn(noise)``, where it is known.

        Shapes:
            change: [N, D]; noise: [N] or a number.
            returns: [N, 3, H, W].
        """
        with self._full_precision():
            drawn = self.drawn(noise) if drawn is None else drawn
            residual = self.scale * (self.autoencoder.decode(self.latents + change, noise) - drawn)
            size = self.faces.shape[-2:]
            if residual.shape[-2:] != size:
                residual = F.interpolate(residual, size, mode='bilinear', align_corners=False)
            return self.faces + residual

    def _full_precision(self) -> torch.autocast:
        return torch.autocast(self.faces.device.type, enabled=False)
