"""Predictions as a csv file."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from mmfer.apis.prediction import Prediction
from mmfer.datasets.reading.csv_cells import written_csv


@contextmanager
def prediction_table(path: Path, classes: Sequence[str]) -> Iterator[Callable[[Prediction], None]]:
    """Writes predictions as csv while they come; the table takes its name once it is complete.

    Args:
        path: The file; its folder is made.
        classes: K names.

    Yields:
        What writes one row; the box is empty for a picture that is an aligned face.
    """
    with written_csv(path) as writer:
        writer.writerow(['image', 'face', 'left', 'top', 'right', 'bottom', 'predicted', *classes])

        def add(prediction: Prediction) -> None:
            box = prediction.box or ('', '', '', '')
            values = [f'{value:.6f}' for value in prediction.score]
            name = classes[int(prediction.score.argmax())]
            writer.writerow([prediction.path, prediction.face, *box, name, *values])

        yield add
