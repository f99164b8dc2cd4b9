"""Predictions as a csv file."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path

from mmfer.apis.prediction import Prediction


class PredictionTable:
    """Writes predictions as csv while they come.

    Args:
        path: The file; its folder is made.
        classes: K names.
    """

    def __init__(self, path: Path, classes: Sequence[str]):
        path.parent.mkdir(parents=True, exist_ok=True)
        self.classes, self._stream = list(classes), path.open('w', newline='', encoding='utf-8')
        self._writer = csv.writer(self._stream)
        self._writer.writerow(['image', 'face', 'left', 'top', 'right', 'bottom', 'predicted', *self.classes])

    def add(self, prediction: Prediction) -> None:
        """Writes one row; the box is empty for a picture that is an aligned face."""
        box = prediction.box or ('', '', '', '')
        values = [f'{value:.6f}' for value in prediction.score]
        name = self.classes[prediction.score.argmax()]
        self._writer.writerow([prediction.path, prediction.face, *box, name, *values])

    def close(self) -> None:
        """Closes the file."""
        self._stream.close()
