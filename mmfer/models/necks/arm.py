"""The amending representation module (ARM), in place of global average pooling.

Longer than 200 lines: half of them fit its sizes to those of the map, and say what to set where they do not.
"""

import logging

import torch
import torch.nn.functional as F
from mmcv.cnn import build_norm_layer
from mmengine.logging import print_log
from mmengine.utils import to_2tuple
from torch import Tensor, nn

from mmfer.functional import sum_over_ranks
from mmfer.models.necks.windows import fit_upscale, fit_windows
from mmfer.models.probing.feature_maps import map_of_shape
from mmfer.registry import MODELS
from mmfer.structures.ranges import check_range

MATRIX_LIMIT = 2**24
"""Entries of the largest matrix as which de-albino trains; for more (a stride of 1 or 2) it stays a convolution."""


@MODELS.register_module()
class ARM(nn.Module):
    """Arranges channels into a larger map, pools it without trusting its border, and adds what all faces share.

    1. *Feature arrangement*: each group of ``upscale ** 2`` channels becomes one map of ``upscale`` times the size, so
       that the next step sees a map and not 7 x 7 cells.
    2. *De-albino*: one convolution with a single channel, shared by all arranged channels, then a norm. Without
       padding fewer windows cover a border cell, whose features padding has faded, so it counts less.
    3. *Sharing affinity*: the mean over the arranged channels is what is unique to a face; its mean over faces,
       ``generic``, is added ``a`` times, with ``a`` learned.

    See `Learning to Amend Facial Expression Representation <https://arxiv.org/abs/2103.10189>`_, sec. 3. Its code takes
    ``generic`` from the batch in testing too, so that a prediction depends on the other faces of the batch; here
    ('ema') testing uses the average over training batches, and a face's prediction is its own.

    Args:
        in_channels: C of the backbone; a multiple of ``upscale ** 2``.
        map_size: Height and width of the backbone's map, one number if equal; ResNet-18 gives input / 32.
        upscale: Cells become squares of this side.
        kernel_size: Of the convolution, in pixels of the arranged map. Two cells by default; one where there are two.
        stride: Of the convolution; by default what divides the way of the kernel and is nearest to a tenth of it.
        generic: In training always the mean over the global batch. In testing ``'ema'``: its moving average;
            ``'batch'``: the mean over the test batch, as the paper's code does; ``'none'``: there is none, nor ``a``.
        momentum: Share of the newest batch in the moving average.
        arrange: False takes the arrangement out: as ``upscale=1``, the windows move over the C maps as they are.
        de_albino: False takes the convolution out: average pooling of even cover to the same size.
        affinity: False takes the generic part out: as ``generic='none'``.
        norm_cfg: Of the norm behind the convolution; None for none.

    Shapes:
        x: [N, C, H, W], or a tuple whose last one counts; also [N, H, W, C], and tokens [N, L, C] whose last ones are
            the cells.
        returns: 1-tuple of [N, out_channels]; 121 for 7 x 7, 81 for 3 x 3 and for 2 x 2.
    """

    def __init__(
        self,
        in_channels: int = 512,
        map_size: int | tuple[int, int] = 7,
        upscale: int = 16,
        kernel_size: int | tuple[int, int] | None = None,
        stride: int | tuple[int, int] | None = None,
        generic: str = 'ema',
        momentum: float = 0.1,
        arrange: bool = True,
        de_albino: bool = True,
        affinity: bool = True,
        norm_cfg: dict[str, object] | None = dict(type='BN'),  # noqa: B006  never changed
    ):
        super().__init__()
        if generic not in ('ema', 'batch', 'none'):
            raise ValueError(f"ARM(generic=...) is 'ema', 'batch' or 'none', got {generic!r}")
        if not 0 < momentum <= 1:
            raise ValueError(f'ARM(momentum=...) must lie in (0, 1], got {momentum}')
        check_range('ARM: in_channels', in_channels, 1, whole=True)
        self.upscale = upscale if arrange else 1
        if self.upscale < 1 or in_channels % self.upscale**2:
            raise ValueError(
                f'ARM arranges groups of upscale ** 2 = {upscale**2} channels, which in_channels={in_channels} is no '
                f'multiple of: set model.neck.upscale={fit_upscale(in_channels, max(self.upscale, 1))}'
            )
        self.in_channels, self.map_size = in_channels, tuple(to_2tuple(map_size))
        self.asked = to_2tuple(kernel_size), to_2tuple(stride)
        kernel, self.stride, self.out_size = self._plan(self.map_size)
        self.out_channels = self.out_size[0] * self.out_size[1]
        self.de_albino = nn.Conv2d(1, 1, kernel, self.stride, bias=False) if de_albino else None
        maps = in_channels // self.upscale**2
        self.norm = nn.Identity() if norm_cfg is None else build_norm_layer(norm_cfg, maps)[1]
        self.source = generic if affinity else 'none'
        self.momentum, self._warned = momentum, False
        if self.source != 'none':
            self.a = nn.Parameter(torch.ones(()))
            # With 'batch', too: one checkpoint can be tested either way.
            self.register_buffer('generic', torch.zeros(self.out_size))
            self.register_buffer('num_batches_tracked', torch.tensor(0))

    def forward(self, x: Tensor | tuple[Tensor, ...]) -> tuple[Tensor]:
        """Features of each face.

        Raises:
            ValueError: If the map has another size than the module was built for.
        """
        x = self._map_of(x)
        maps = self.norm(self._pool(F.pixel_shuffle(x, self.upscale)))
        unique = maps.mean(1, dtype=torch.promote_types(maps.dtype, torch.float32))  # means of batches need the digits
        features = unique if self.source == 'none' else unique + self.a * self._shared(unique)
        return (features.flatten(1),)

    def whole_batch(self, all_have_landmarks: bool) -> str:
        """What a `Part` would be asked: the generic part is a mean over the batch."""
        return '' if self.source == 'none' else 'adds the mean over the faces of a batch to each'

    def _pool(self, maps: Tensor) -> Tensor:
        """De-albino: [N, G, H, W] to [N, G, *out_size]."""
        if self.de_albino is None:
            return F.adaptive_avg_pool2d(maps, self.out_size)
        if not self.training or self.out_channels * maps[0, 0].numel() > MATRIX_LIMIT:
            return self.de_albino(maps.flatten(0, 1).unsqueeze(1)).view(*maps.shape[:2], *self.out_size)
        # The same as a matrix product: the backward pass of a convolution with one channel and a large kernel takes
        # several times as long on a CPU. Row (p, q) of the matrix is the kernel at (p, q) times the stride on zeros:
        # a window of the kernel in a wide border of zeros, the further up and left the further down and right it lies.
        (height, width), (down, right) = maps.shape[2:], self.stride
        kernel = self.de_albino.weight[0, 0]
        below, beside = height - kernel.size(0), width - kernel.size(1)
        framed = F.pad(kernel, (beside, beside, below, below))
        matrix = framed.unfold(0, height, down).unfold(1, width, right).flip(0, 1)
        return F.linear(maps.flatten(2), matrix.reshape(self.out_channels, -1)).unflatten(2, self.out_size)

    def _shared(self, unique: Tensor) -> Tensor:
        """The generic part [*out_size]."""
        if not self.training and self.source == 'ema':
            return self.generic
        if not self.training:
            self._warn()
            return unique.mean(0)
        # Sum and count in one collective.
        total = sum_over_ranks(torch.cat([unique.sum(0).flatten(), unique.new_full((1,), len(unique))]))
        mean = (total[:-1] / total[-1]).view(self.out_size)
        self._follow(mean.detach())
        return mean

    @torch.no_grad()
    def _follow(self, mean: Tensor) -> None:
        """Moves the average. Its weights, which fall with age, add up to 1 from the first batch on.

        Started at zero it would be too small for dozens of steps, and started at the first batch it would remember for
        as long what an untrained network said.
        """
        self.num_batches_tracked += 1
        rate = self.momentum / (1 - (1 - self.momentum) ** self.num_batches_tracked.double())
        self.generic += rate * (mean - self.generic)

    def _warn(self) -> None:
        if not self._warned:
            self._warned = True
            print_log(
                "ARM(generic='batch') predicts from the mean of each test batch: a face's prediction depends on the "
                "other faces of its batch, and figures on the batch size and the order; generic='ema' does not",
                logger='current',
                level=logging.WARNING,
            )

    def _map_of(self, x: Tensor | tuple[Tensor, ...]) -> Tensor:
        """The map that the module was built for."""
        found = map_of_shape(x, self.in_channels, self.map_size)
        if found is None:
            raise ValueError(
                'ARM takes a map [N, C, H, W], the backbone gives vectors [N, C], which are pooled already'
            )
        channels, size = found.size(1), tuple(found.shape[2:])
        if channels != self.in_channels:
            raise ValueError(
                f'ARM is built for {self.in_channels} channels, the backbone gives {channels}: set '
                f'{self.settings(channels, size)}'
            )
        if size != self.map_size:
            raise ValueError(
                f'ARM is built for maps of {self.map_size[0]} x {self.map_size[1]}, this input gives {size[0]} x '
                f'{size[1]}: set {self.settings(channels, size)}'
            )
        return found

    def settings(self, channels: int, size: tuple[int, int]) -> str:
        """What has to be set for a map of other channels or another size, in words; nothing for its own."""
        upscale = fit_upscale(channels, self.upscale)
        (height, width) = (axis[2] for axis in self._axes(size, upscale))
        wanted = {'neck.in_channels': channels} if channels != self.in_channels else {}
        if upscale != self.upscale:
            wanted['neck.upscale'] = upscale
        if size != self.map_size:
            wanted['neck.map_size'] = size[0] if size[0] == size[1] else size
        if height * width != self.out_channels or size != self.map_size:
            wanted['head.in_channels'] = height * width
        settings = [f'model.{key}={value}' for key, value in wanted.items()]
        return ' and '.join([', '.join(settings[:-1]), settings[-1]]) if len(settings) > 1 else ''.join(settings)

    def _axes(self, map_size: tuple[int, int], upscale: int) -> list[tuple[int, int, int]]:
        """Kernel, stride and number of windows along each axis."""
        return [fit_windows(cells, upscale, *asked) for cells, *asked in zip(map_size, *self.asked, strict=True)]

    def _plan(self, map_size: tuple[int, int]) -> tuple[tuple[int, int], tuple[int, int], tuple[int, int]]:
        """Kernel, stride and output size for a map."""
        return tuple(zip(*self._axes(map_size, self.upscale), strict=True))
