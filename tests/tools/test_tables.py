"""Every csv that a tool writes: nothing in it is computed, it is there whole, and it is read back as it was."""

import csv
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from mmfer.apis.analysis.noise_report import write_doubts
from mmfer.apis.data.image_folder import write_failures
from mmfer.apis.evaluation import write_table
from mmfer.apis.prediction import Prediction
from mmfer.apis.prediction_table import prediction_table
from mmfer.datasets.labels.noise_manifest import NoiseManifest, read_manifest
from mmfer.datasets.reading.csv_cells import CellWriter, read_csv_rows
from mmfer.engine.hooks.relabel_log import FIELDS, _write, read_rows
from mmfer.evaluation.fer_metric import PredictedFace

NAMES = ['=1+1.jpg', '-1.png', "'x.jpg", '@a.jpg', '+b.jpg', 'c.jpg']
CLASSES = ['=happy', 'sad']
SCORE = np.array([0.75, 0.25])


def predictions(path: Path) -> None:
    with prediction_table(path, CLASSES) as add:
        for name in NAMES:
            add(Prediction(Path(name), 0, None, np.zeros((1, 1, 3), np.uint8), SCORE))


def evaluation(path: Path) -> None:
    faces = [PredictedFace(i, name, 0, SCORE) for i, name in enumerate(NAMES)]
    write_table(SimpleNamespace(classes=CLASSES, faces=faces), NAMES, path)


def failures(path: Path) -> None:
    write_failures(path, NAMES, ['=no'] * len(NAMES))


def doubts(path: Path) -> None:
    labels, n = np.zeros(len(NAMES), np.int64), len(NAMES)
    beliefs = dict(observed=labels, believed=labels + 1, clean=labels - 1, trust=np.full(n, -0.5), names=NAMES)
    sources = dict(believed='@SUM', trust='importance')
    write_doubts(SimpleNamespace(**beliefs, doubted=np.arange(n), classes=CLASSES, sources=sources), path)


def relabels(path: Path) -> None:
    _write(path, [(1, i, name, *CLASSES, '', '') for i, name in enumerate(NAMES)])


@pytest.mark.parametrize(
    ('write', 'column'), [(predictions, 0), (evaluation, 0), (failures, 0), (doubts, 0), (relabels, 2)]
)
def test_no_cell_is_computed_and_all_come_back(write, column, tmp_path):
    write(tmp_path / 'new/table.csv')
    with (tmp_path / 'new/table.csv').open(newline='', encoding='utf-8') as stream:
        cells = [cell for row in csv.reader(stream) for cell in row]
    assert {cell[0] for cell in cells if cell} & set('=+@') == set()
    assert {cell for cell in cells if cell.startswith('-')} <= {'-0.500000'}
    rows = list(read_csv_rows(tmp_path / 'new/table.csv'))
    assert [row[column] for row in rows[1:]] == NAMES
    assert [path.name for path in (tmp_path / 'new').iterdir()] == ['table.csv']


def test_relabels_are_read_as_they_were_written(tmp_path):
    relabels(tmp_path / 'relabels.csv')
    rows = read_rows(tmp_path / 'relabels.csv', 1)
    assert [row[2] for row in rows] == NAMES
    assert len(rows[0]) == len(FIELDS)


def test_a_manifest_comes_back(tmp_path):
    labels = np.array([0, 1, 0, 1, 0, 1])
    made = NoiseManifest(NAMES, labels, labels[::-1].copy(), CLASSES, dict(kind='list'))
    made.write(str(tmp_path / 'noise.csv'))
    assert "\n'=1+1.jpg,'=happy,sad\n" in (tmp_path / 'noise.csv').read_text()
    read = read_manifest(str(tmp_path / 'noise.csv'))
    assert (list(read.names), read.classes, read.sha256) == (NAMES, CLASSES, made.sha256)
    np.testing.assert_array_equal(read.noisy, made.noisy)


@pytest.mark.parametrize('write', [predictions, evaluation, relabels])
def test_a_failure_leaves_the_table_of_before(write, tmp_path, monkeypatch):
    (tmp_path / 'table.csv').write_text('before')

    def full(self, cells):
        if NAMES[2] in map(str, cells):
            raise OSError(28, 'No space left on device')
        writerow(self, cells)

    writerow = CellWriter.writerow
    monkeypatch.setattr(CellWriter, 'writerow', full)
    with pytest.raises(OSError, match='No space left'):
        write(tmp_path / 'table.csv')
    assert (tmp_path / 'table.csv').read_text() == 'before'
    assert len(list(tmp_path.iterdir())) == 1
