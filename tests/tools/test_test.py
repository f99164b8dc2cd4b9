"""tools/test.py: every figure again from the csv, the deployed network alone, and how it stops."""

import csv
import json

import numpy as np
import pytest
import torch
from sklearn.metrics import balanced_accuracy_score, f1_score


def read_table(path):
    with open(path, newline='') as stream:
        return list(csv.DictReader(stream))


@pytest.fixture
def undrawn() -> None:
    """Here the pictures are drawn."""


@pytest.fixture
def tested(run, tools, tmp_path, capsys):
    table = tmp_path / 'faces.csv'
    tools.test([run.config, str(run.checkpoint), '--work-dir', str(tmp_path), '--out', str(table), *run.options])
    return json.loads((tmp_path / 'test_metrics.json').read_text()), read_table(table), capsys.readouterr().out


def test_every_figure_follows_from_the_table(tested):
    figures, rows, said = tested
    names = figures['classes']
    labels = [names.index(row['label']) for row in rows]
    predicted = [names.index(row['predicted']) for row in rows]
    assert predicted == [int(np.argmax([float(row[name]) for name in names])) for row in rows]
    assert figures['accuracy'] == pytest.approx(100 * np.mean(np.equal(labels, predicted)))
    assert figures['mean_class_accuracy'] == pytest.approx(100 * balanced_accuracy_score(labels, predicted))
    assert figures['macro_f1'] == pytest.approx(100 * f1_score(labels, predicted, average='macro'))
    assert figures['majority_rate'] == pytest.approx(100 * np.bincount(labels).max() / len(labels))
    for name in ('mean class accuracy', 'macro F1', 'recall/fear', 'always surprise'):
        assert name in said


def test_the_table_has_every_face_under_its_own_name(tested, run):
    _, rows, _ = tested
    lines = (run.data / 'basic' / 'EmoLabel' / 'list_patition_label.txt').read_text().split('\n')
    names = ['surprise', 'fear', 'disgust', 'happiness', 'sadness', 'anger', 'neutral']
    expected = [
        (line.split('.')[0] + '_aligned.jpg', names[int(line.split()[1]) - 1])
        for line in lines
        if line.startswith('test_')
    ]
    assert [(row['name'], row['label']) for row in rows] == expected
    for row in rows:
        assert sum(float(row[name]) for name in names) == pytest.approx(1, abs=1e-5)


def test_the_picture_lies_in_the_work_folder(tested, tmp_path):
    assert (tmp_path / 'confusion_matrix.png').read_bytes().startswith(b'\x89PNG')


def test_nothing_of_training_is_needed(run, tools, tmp_path, capsys):
    """Neither the face weights, nor the training faces, nor the landmarks, nor the supervision."""
    options = [option for option in run.options if 'supervision' not in option]
    options += [
        'model.pretrained=absent.pth',
        'train_dataloader.dataset.data_root=absent',
        'test_dataloader.dataset.landmarks=None',
        'model.supervision.lanet.branches.keys.type=mmfer.Absent',
    ]
    tools.test([run.config, str(run.checkpoint), '--work-dir', str(tmp_path), *options])
    figures = json.loads((tmp_path / 'test_metrics.json').read_text())
    assert figures['accuracy'] == json.loads((run.folder / 'metrics.json').read_text())['last']['accuracy']


def stops(capsys, main, arguments) -> str:
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    assert caught.value.code == 1
    return next(line for line in capsys.readouterr().err.splitlines() if line.startswith('mmfer: error: '))


def test_a_misspelt_checkpoint_is_met_with_the_nearest(run, tools, capsys):
    line = stops(capsys, tools.test, [run.config, str(run.folder / 'epoch2.pth'), *run.options])
    assert line.endswith(f'did you mean {run.checkpoint}?')


def test_a_checkpoint_of_another_network_is_refused(run, tools, tmp_path, capsys):
    options = [*run.options, 'model.head.num_classes=8']
    line = stops(capsys, tools.test, [run.config, str(run.checkpoint), '--work-dir', str(tmp_path), *options])
    assert 'does not fit the config' in line
    assert 'head.fc.weight is (7, 64) there and (8, 64) in the config' in line
    options = [*run.options, 'model.backbone.depth=34']
    line = stops(capsys, tools.test, [run.config, str(run.checkpoint), '--work-dir', str(tmp_path), *options])
    assert 'backbone.layer1.2.conv1.weight is missing' in line


def test_a_damaged_checkpoint_is_refused(run, tools, tmp_path, capsys):
    (tmp_path / 'half.pth').write_bytes(run.checkpoint.read_bytes()[:5000])
    assert 'half.pth cannot be read' in stops(capsys, tools.test, [run.config, str(tmp_path / 'half.pth')])
    torch.save(dict(state_dict={'weight': torch.rand(2)}), tmp_path / 'other.pth')
    line = stops(
        capsys, tools.test, [run.config, str(tmp_path / 'other.pth'), '--work-dir', str(tmp_path), *run.options]
    )
    assert 'no tensor of a backbone' in line


def test_the_result_stands_alone(run, tools, tmp_path, capsys):
    tools.test([str(run.checkpoint), '--work-dir', str(tmp_path)])
    said = capsys.readouterr()
    first, *lines = said.out.splitlines()
    assert (said.err, first) == ('', '14 faces of test, percent')
    assert len([line for line in lines if line.startswith('  ')]) == 13
    assert [line.split(':')[0] for line in lines[13:]] == ['confusion matrix', 'every face', 'next']
    (log,) = tmp_path.glob('*/*.log')
    text = log.read_text()
    for part in (
        'System environment:',
        'INFO - Config:\n',
        'Hooks will be executed',
        'RAFDB test: 14 faces (surprise 2, ',
    ):
        assert part in text
