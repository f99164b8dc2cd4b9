"""Faces side by side, each in a frame and with a caption."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from mmfer.visualization.picture_file import write_figure
from mmfer.visualization.texts import plain

INCHES = 1.15
"""Side of a face."""
GAP, LINE, LONGEST = 0.14, 0.135, 24
"""Space between faces and height of a caption's line, in sides of a face; characters of a line."""


def draw_contact_sheet(
    images: Sequence[np.ndarray],
    captions: Sequence[str],
    path: str | Path,
    columns: int = 8,
    title: str = '',
    colours: Sequence[str] | None = None,
) -> Path:
    """Draws pictures in rows, row by row.

    Args:
        images: RGB uint8 [H, W, 3], of any sizes; none is distorted.
        captions: What to write below each; may have several lines, which are cut at 24 characters.
        path: The PNG to write; its folder is made.
        columns: Pictures a row.
        title: Heading.
        colours: Frame of each picture. Defaults to None: thin grey ones.

    Returns:
        The path.

    Raises:
        ValueError: There is no picture, or not one caption (and colour) a picture.
    """
    if not len(images):
        raise ValueError('a contact sheet needs at least one picture')
    for name, values in (('captions', captions), ('colours', colours)):
        if values is not None and len(values) != len(images):
            raise ValueError(f'draw_contact_sheet got {len(images)} images but {len(values)} {name}')
    columns = max(1, min(columns, len(images)))
    rows, lines = math.ceil(len(images) / columns), max(text.count('\n') + 1 if text else 0 for text in captions)
    width, height = 1 + GAP, 1 + GAP + LINE * lines
    head = 0.3 * (title.count('\n') + 1) if title else 0
    wide = max(INCHES * columns * width, 0.075 * max(map(len, title.split('\n'))))
    # A Figure of its own, without pyplot: no global state and no display needed.
    figure = Figure(figsize=(wide, INCHES * rows * height + head))
    tall = figure.get_size_inches()[1]
    # One axes with everything in it: a pair of axes each takes matplotlib seconds.
    axes = figure.add_axes((0, 0, INCHES * columns * width / wide, 1 - head / tall))
    for i, (image, caption) in enumerate(zip(images, captions, strict=True)):
        left, top = i % columns * width + GAP / 2, i // columns * height + GAP / 2
        across, down = (side / max(image.shape[:2]) for side in (image.shape[1], image.shape[0]))
        x, y = left + (1 - across) / 2, top + (1 - down) / 2
        axes.imshow(image, extent=(x, x + across, y + down, y), interpolation='bilinear', aspect='auto')
        colour, thick = ('.85', 0.6) if colours is None else (colours[i], 2.2)
        axes.add_patch(Rectangle((x, y), across, down, fill=False, edgecolor=colour, linewidth=thick))
        text = '\n'.join(line if len(line) <= LONGEST else line[: LONGEST - 1] + '…' for line in caption.split('\n'))
        axes.text(left + 0.5, top + 1.03, plain(text), size=6.8, ha='center', va='top', color='.25', linespacing=1.15)
    axes.set(xlim=(0, columns * width), ylim=(rows * height, 0))  # after imshow, which sets them to its picture
    axes.axis('off')
    if title:
        figure.text(GAP / 2 * INCHES / wide, 1 - 0.5 * head / tall, plain(title), size=9.5, va='center')
    return write_figure(figure, path)
