"""Maps [N, C, H, W] from what networks put out, however they hold them: the one place that knows.

Convolutional networks give [N, C, H, W], some transformers [N, H, W, C], others tokens [N, L, C] in rows of cells, with
or without tokens in front that belong to no cell (a class token, registers), or [N, C, L]; any of them may come in a
list, a tuple or a dict, and beside the size of its map, as Swin's (tokens, (H, W)).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor

MOST_EXTRA = 9
"""Tokens in front of the cells: class and distillation tokens and registers; no network has more."""

Size = tuple[int, int]


@dataclass(frozen=True)
class Layout:
    """How a tensor holds a map.

    Args:
        kind: ``'NCHW'``, ``'NHWC'``, ``'tokens'`` [N, L, C] or ``'NCL'``.
        extra: Of tokens, how many stand in front of the cells.
    """

    kind: str = 'NCHW'
    extra: int = 0

    def cells(self, values: Tensor) -> int:
        """How many cells tokens [N, L, C] or [N, C, L] are of."""
        return values.size(2) if self.kind == 'NCL' else values.size(1) - self.extra

    def to_map(self, values: Tensor, size: Size | None = None) -> Tensor:
        """The map [N, C, H, W]: a view, for NCHW the tensor itself.

        Args:
            values: The tensor.
            size: (H, W) of the map, which tokens do not say themselves.

        Raises:
            ValueError: They are tokens, and their size is not given.
        """
        if self.kind == 'NHWC':
            return values.permute(0, 3, 1, 2)
        if self.kind == 'NCHW':
            return values
        if size is None:
            raise ValueError(f'the map of {tuple(values.shape)} is not known without its height and width')
        tokens = values if self.kind == 'NCL' else values[:, self.extra :].transpose(1, 2)
        return tokens.unflatten(2, size)


class Feature:
    """What a module put out, and the map in it, if there is one.

    Args:
        output: Whatever the module returned.
        image_size: (H, W) of the images that the network saw, whose shape tokens share. Defaults to None: square.
        layout: As found when the network was built, where known. Defaults to None: what the shapes tell.

    Attributes:
        tensor: The tensor among the outputs that holds the map, as the network goes on with it: what autograd knows.
        layout: How it holds the map; None where it holds none.
        candidates: All ways in which a tensor of this shape may hold one.
        certain: Whether there is no other.
    """

    def __init__(self, output: Any, image_size: Size | None = None, layout: Layout | None = None):
        self.output = output
        self.tensor, self._told = find_tensor(output)
        self.candidates = layouts(self.tensor, image_size, self._told)
        known = layout is not None and self._may_be(layout, image_size)
        self.layout = layout if known else next(iter(self.candidates), None)
        self.certain = known or len(self.candidates) < 2
        self.image_size = image_size

    def as_map(self, values: Tensor | None = None) -> Tensor:
        """The map [N, C, H, W], of the output or of a tensor of the same shape; the tensor itself where it is none."""
        values = self.tensor if values is None else values
        if self.layout is None:
            return values
        if values.ndim == 4:
            return self.layout.to_map(values)
        return self.layout.to_map(values, self._told or cells_to_size(self.layout.cells(values), self.image_size))

    def _may_be(self, layout: Layout, image_size: Size | None) -> bool:
        if self.tensor.ndim != 3 or layout.kind not in ('tokens', 'NCL'):
            return self.tensor.ndim == len(layout.kind) == 4
        cells = layout.cells(self.tensor)
        return cells > 0 and (self._told is not None or cells_to_size(cells, image_size) is not None)

    @property
    def shape(self) -> tuple[int, ...]:
        """Of the tensor."""
        return tuple(self.tensor.shape)


def map_of_shape(output: Any, channels: int, size: Size) -> Tensor | None:
    """The map of an output whose channels and size are known beforehand; of another one where it has not these.

    Returns:
        [N, C, H, W], or None where the output holds no map.
    """
    feature = Feature(output)
    values, rows = feature.tensor, tuple(feature.tensor.shape[1:])
    if values.ndim == 4 and rows == (*size, channels) != (channels, *size):
        return Layout('NHWC').to_map(values)
    if values.ndim == 3 and values.size(2) == channels and values.size(1) >= size[0] * size[1]:
        return Layout('tokens', values.size(1) - size[0] * size[1]).to_map(values, size)
    return None if feature.layout is None else values if values.ndim == 4 else feature.as_map()


def find_tensor(output: Any) -> tuple[Tensor, Size | None]:
    """The tensor of an output that counts, and (H, W) if the output says it.

    In dicts and sequences that is the last one that may hold a map, else the last one at all.

    Raises:
        TypeError: There is no tensor.
    """
    if isinstance(output, Tensor):
        return output, None
    parts = list(output.values() if isinstance(output, Mapping) else output) if _holds_more(output) else []
    found = [find_tensor(part) for part in parts if _has_tensor(part)]
    if not found:
        raise TypeError(f'a {type(output).__name__} without a tensor')
    tensor, told = next(((t, s) for t, s in reversed(found) if t.ndim > 2), found[-1])
    numbers = [part for part in parts if isinstance(part, int) and not isinstance(part, bool)]
    sizes = [part for part in parts if _is_size(part)] + ([tuple(numbers)] if len(numbers) == 2 else [])
    if told is None and len(found) == 1 and sizes:
        told = (int(sizes[-1][0]), int(sizes[-1][1]))
    return tensor, told


def layouts(tensor: Tensor, image_size: Size | None = None, told: Size | None = None) -> list[Layout]:
    """The ways in which a tensor may hold a map of images of a size, the likeliest first; none for a vector."""
    if tensor.ndim == 4:
        kinds = {'NCHW': tensor.shape[2:], 'NHWC': tensor.shape[1:3]}
        # The cells of a map lie as the pixels do; neither way fits where a layer changes the shape: then as usual.
        return [Layout(kind) for kind, size in kinds.items() if _alike(size, image_size)] or [Layout()]
    if tensor.ndim != 3:
        return []
    count = tensor.size(1)
    if told is not None:
        return [Layout('tokens', count - told[0] * told[1])] if told[0] * told[1] <= count else []
    fits = []
    for extra in range(min(MOST_EXTRA, count - 1) + 1):
        size = cells_to_size(count - extra, image_size)
        if size is not None:
            # Patches divide the image; else the fewest tokens in front.
            uneven = image_size is not None and any(i % s for i, s in zip(image_size, size, strict=True))
            fits.append((uneven, extra))
    found = [Layout('tokens', min(fits)[1])] if fits else []
    return [*found, Layout('NCL')] if cells_to_size(tensor.size(2), image_size) is not None else found


def cells_to_size(cells: int, image_size: Size | None = None) -> Size | None:
    """(H, W) of so many cells that lie as the pixels of an image; None if they cannot."""
    height, width = image_size or (1, 1)
    near = round((cells * height / width) ** 0.5)
    for rows in sorted(range(max(1, near - 1), near + 2), key=lambda rows: abs(rows - near)):
        if cells % rows == 0 and _alike((rows, cells // rows), image_size):
            return rows, cells // rows
    return None


def _alike(size: tuple[int, ...], image_size: Size | None) -> bool:
    """Whether a map of a size may be one of images of a size: of the same shape, up to a cell's rounding."""
    height, width = image_size or (1, 1)
    rows, columns = size
    if height == width:
        return rows == columns
    return abs(rows * width - columns * height) < max(height, width)


def _is_size(part: Any) -> bool:
    return isinstance(part, tuple | list) and len(part) == 2 and all(isinstance(number, int) for number in part)


def _holds_more(output: Any) -> bool:
    return isinstance(output, Mapping | tuple | list)


def _has_tensor(part: Any) -> bool:
    if isinstance(part, Tensor):
        return True
    values = part.values() if isinstance(part, Mapping) else part
    return _holds_more(part) and any(_has_tensor(value) for value in values)
