"""How pictures are written: whole, so that a kill leaves the one of before."""

from __future__ import annotations

from pathlib import Path

from matplotlib.figure import Figure

from mmfer.structures.whole_files import written_whole


def write_figure(figure: Figure, path: str | Path) -> Path:
    """Writes a figure, of the kind that its name ends with, else PNG; its folder is made.

    Raises:
        ValueError: There is no such kind of picture.
    """
    path = Path(path)
    with written_whole(path, 'wb') as stream:
        figure.savefig(stream, dpi=110, format=path.suffix[1:] or 'png')
    return path
