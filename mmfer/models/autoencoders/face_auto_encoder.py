"""An autoencoder of faces, whose latent space is where semantic perturbations are made (SNA)."""

from typing import Any

import torch
import torch.nn.functional as F
from mmengine.model import BaseModel
from torch import Tensor, nn

from mmfer.functional import mean_over_ranks, sum_over_ranks
from mmfer.registry import MODELS
from mmfer.structures import FaceBatch
from mmfer.structures.ranges import check_range


@MODELS.register_module()
class FaceAutoEncoder(BaseModel):
    """A deep encoder, a lighter decoder, and latents that may be disturbed.

    Trained by the same ``tools/train.py``, on faces without their labels, before the classifier that uses it. A latent
    is disturbed by ``s * std * n`` with n ~ N(0, I) and a strength s ~ U(0, `max_noise`) a face, which the decoder is
    told; what it draws is then a face again, one that looks a little different. The loss is
    ``|decode(z + s std n, s) - x|_1 + 1e-4 |z|^2``. There is no batch norm: its running statistics would lag behind,
    and a face is to be drawn without regard to the others of its batch.

    The idea is that of `SNA <https://arxiv.org/abs/2004.12725>`_, of which we had the abstract alone: architecture and
    loss are our reconstruction.

    Faces are RGB in [-1, 1], whatever a classifier's normalisation: a pixel value p in 0..255 is p / 127.5 - 1.

    Args:
        size: Side of the faces S, divisible by 8; others are resized. Half a classifier's input size will do: what is
            drawn is the difference of two reconstructions, which has no fine detail.
        latent_dim: D.
        channels: Of the first stage; doubled at each further one.
        depth: Residual blocks of each stage of the encoder. The decoder has none.
        max_noise: Largest s, in standard deviations of each latent.
        latent_penalty: Weight of ``|z|^2``.
        momentum: Share of a batch in the running standard deviation of the latents.
        data_preprocessor: A `FaceDataPreprocessor` with ``mean`` and ``std`` .5; needed for training only.

    Raises:
        ValueError: If `size` is not divisible by 8, or the preprocessor gives other values than [-1, 1].

    Shapes:
        inputs: [N, 3, H, W].
        latents: [N, D]; reconstructions: [N, 3, S, S].
    """

    def __init__(
        self,
        size: int = 112,
        latent_dim: int = 128,
        channels: int = 32,
        depth: int = 2,
        max_noise: float = 0.5,
        latent_penalty: float = 1e-4,
        momentum: float = 0.01,
        data_preprocessor: dict[str, Any] | nn.Module | None = None,
    ):
        super().__init__(data_preprocessor=data_preprocessor)
        if size < 8 or size % 8:
            raise ValueError(f'FaceAutoEncoder halves its faces three times: size must be divisible by 8, got {size}')
        for name, value in (('latent_dim', latent_dim), ('channels', channels), ('depth', depth)):
            check_range(f'FaceAutoEncoder: {name}', value, 0 if name == 'depth' else 1, whole=True)
        for name, value in (('max_noise', max_noise), ('latent_penalty', latent_penalty)):
            check_range(f'FaceAutoEncoder: {name}', value, 0)
        check_range('FaceAutoEncoder: momentum', momentum, above=0, most=1, why='it is the share of the newest batch')
        _check_range(self.data_preprocessor)
        self.size, self.latent_dim = size, latent_dim
        self.max_noise, self.latent_penalty, self.momentum = max_noise, latent_penalty, momentum

        cells, stages = size // 8, 3
        while cells > 8 and cells % 2 == 0:
            cells, stages = cells // 2, stages + 1
        widths = [channels * 2 ** min(stage, 3) for stage in range(stages)]
        down = [
            nn.Sequential(_conv(before, after, stride=2), nn.ReLU(), *(Residual(after) for _ in range(depth)))
            for before, after in zip([3, *widths], widths, strict=False)
        ]
        self.encoder = nn.Sequential(*down, nn.Flatten(), nn.Linear(widths[-1] * cells**2, latent_dim))
        up = [
            nn.Sequential(nn.Upsample(scale_factor=2), _conv(before, after), nn.ReLU())
            for before, after in zip(widths[:0:-1], widths[-2::-1], strict=True)
        ]
        self.decoder = nn.Sequential(
            nn.Linear(latent_dim + 1, widths[-1] * cells**2),
            nn.Unflatten(1, (widths[-1], cells, cells)),
            nn.ReLU(),
            *up,
            nn.Upsample(scale_factor=2),
            nn.Conv2d(channels, 3, 3, padding=1),
        )
        self.register_buffer('latent_std', torch.ones(latent_dim))
        self.register_buffer('mean_face', torch.zeros(3, size, size))
        self.register_buffer('steps', torch.tensor(0))
        self.to(memory_format=torch.channels_last)

    def encode(self, x: Tensor) -> Tensor:
        """Latents [N, D] of faces [N, 3, H, W] in [-1, 1]."""
        return self.encoder(self.fit(x))

    def decode(self, z: Tensor, noise: Tensor | float = 0.0) -> Tensor:
        """Faces [N, 3, S, S] of latents that were disturbed with strength `noise`, [N] or a number."""
        noise = torch.as_tensor(noise, dtype=z.dtype, device=z.device).expand(len(z))
        return self.decoder(torch.cat([z, noise[:, None]], dim=1))

    def fit(self, x: Tensor) -> Tensor:
        """Faces of any size as [N, 3, S, S]."""
        if x.shape[-2:] == (self.size, self.size):
            return x
        return F.interpolate(x, (self.size, self.size), mode='bilinear', antialias=True, align_corners=False)

    def forward(self, inputs: Tensor, data_samples: FaceBatch | None = None, mode: str = 'tensor') -> Any:
        """What MMEngine calls: 'loss' gives losses, 'predict' judged reconstructions, 'tensor' reconstructions."""
        if mode == 'loss':
            return self.loss(inputs)
        if mode == 'predict':
            return self.predict(inputs, data_samples)
        return self.decode(self.encode(inputs))

    def loss(self, inputs: Tensor) -> dict[str, Tensor]:
        """Terms of a training step; means over the global batch."""
        face = self.fit(inputs)
        z = self.encoder(face)
        self._note(z.detach().float(), face)
        noise = torch.rand(len(z), device=z.device) * self.max_noise
        disturbance = noise[:, None] * self.latent_std * torch.randn(z.shape, device=z.device)
        error = (self.decode(z + disturbance, noise).float() - face).abs().mean((1, 2, 3))
        reconstruction = mean_over_ranks(error)
        return {
            'reconstruction_loss': reconstruction,
            'latent_loss': self.latent_penalty * mean_over_ranks(z.float().square().sum(1)),
            'grey_levels': 127.5 * reconstruction.detach(),
        }

    def predict(self, inputs: Tensor, data_samples: FaceBatch) -> list[Any]:
        """Data samples with ``reconstruction_error`` and ``mean_face_error``: mean absolute errors in grey levels.

        The second is that of the mean training face, the best that a decoder without latents could draw.
        """
        face = self.fit(inputs)
        errors = 127.5 * (self.forward(face).float() - face).abs().mean((1, 2, 3))
        trivial = 127.5 * (self.mean_face - face).abs().mean((1, 2, 3))
        samples = list(data_samples)
        for sample, error, reference in zip(samples, errors, trivial, strict=True):
            sample.set_field(error, 'reconstruction_error', dtype=Tensor)
            sample.set_field(reference, 'mean_face_error', dtype=Tensor)
        return samples

    @torch.no_grad()
    def _note(self, z: Tensor, face: Tensor) -> None:
        """Lets the latents' standard deviation and the mean face follow this step's global batch."""
        rows = sum_over_ranks(torch.tensor(float(len(z)), device=z.device))
        mean = sum_over_ranks(z.sum(0)) / rows
        variance = sum_over_ranks((z - mean).square().sum(0)) / (rows - 1).clamp_min(1)
        self.steps += 1
        share = 1 / self.steps  # of a mean over all steps; the encoder moves on, so its statistics forget old ones
        self.latent_std.square_().lerp_(variance, share.clamp_min(self.momentum)).sqrt_()
        self.mean_face.lerp_(sum_over_ranks(face.float().sum(0)) / rows, share)


class Residual(nn.Module):
    """Two 3x3 convolutions beside an identity."""

    def __init__(self, channels: int):
        super().__init__()
        self.convs = nn.Sequential(_conv(channels, channels), nn.ReLU(), _conv(channels, channels))
        nn.init.zeros_(self.convs[-1].weight)  # begins as the identity, so that depth needs no normalisation

    def forward(self, x: Tensor) -> Tensor:
        """Same shape as `x`."""
        return F.relu(x + self.convs(x))


def _conv(before: int, after: int, stride: int = 1) -> nn.Conv2d:
    conv = nn.Conv2d(before, after, 3, stride, padding=1)
    nn.init.kaiming_normal_(conv.weight)
    nn.init.zeros_(conv.bias)
    return conv


def _check_range(preprocessor: nn.Module) -> None:
    for name in ('mean', 'std'):
        values = getattr(preprocessor, name, None)
        if values is not None and not torch.allclose(values.flatten(), torch.tensor(0.5)):
            raise ValueError(
                f'FaceAutoEncoder works on pixels in [-1, 1], but data_preprocessor.{name} is '
                f'{[round(v, 4) for v in values.flatten().tolist()]}: set data_preprocessor.{name}=(.5, .5, .5)'
            )
