"""The benchmarks name configs that are there, and count right; what they measure is not tested."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.config import Config

ROOT = Path(__file__).parents[2]


def load(name):
    spec = importlib.util.spec_from_file_location(name, ROOT / 'benchmarks' / f'{name}.py')
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_step_benchmark_changes_options_that_are_there():
    step = load('step')
    for folder, options in step.MODELS_MEASURED.values():
        for place in step.CONFIGS.values():
            cfg = Config.fromfile(ROOT / place.format(folder))
            for key in options:
                *path, last = key.split('.')
                part = cfg
                for name in path:
                    part = part[name]
                assert last in part, f'{place.format(folder)} has no {key}'


@pytest.mark.parametrize(
    ('name', 'forward', 'backward'),
    [
        ('plain', '1', '1'),
        ('PAL', '1', '1'),
        ('PAL, layer3', '1', '1-2'),  # layer4 is behind the tap
        ('LA-Net', '2-4', '1-2'),  # stages behind the first twice, and all of it for the keys
        ('SNA, advers.', '3', '3'),  # the faces, the direction, the neighbours
        ('all', '4-6', '3-4'),
    ],
)
def test_the_step_benchmark_counts_passes_over_the_network_and_its_copies(name, forward, backward):
    step = load('step')
    counted = step.Stepper(name, size=96, batch_size=4, device='cpu').passes()
    assert tuple(map(step.as_range, counted)) == (forward, backward)


def test_the_step_benchmark_measures_an_epoch_in_which_every_part_works():
    stepper = load('step').Stepper('all', size=96, batch_size=8, device='cpu')
    with torch.no_grad():
        stepper.model.head.fc.bias[0] = 100  # sure of one class, whatever the label
    logged = stepper.step()
    assert logged['scn.newly_relabelled'] > 0
    assert logged['sna.unreliable'] > 0
    assert logged['sna.smooth_loss'] > 0


def test_an_audit_is_compared_with_cleanlab_on_the_same_predictions(tmp_path):
    audit = load('audit')
    rows = [
        ('b.jpg', 'x', 'y', '0.9', ''),
        ('c.jpg', 'y', 'y', '0.3', '0.5'),
        ('a.jpg', 'x', 'x', '0.2', '0.1'),
        ('d.jpg', 'x', '', '1.0', '0.7'),  # of which nobody knows
    ]
    lines = ['name,observed,clean,self_confidence,remembered', *map(','.join, rows)]
    (tmp_path / 'labels.csv').write_text('\n'.join(lines))
    probs = np.array([[0.8, 0.2], [0.1, 0.9], [0.3, 0.7], [0, 1]], np.float32)
    np.savez(
        tmp_path / 'cleanlab.npz', labels=[0, 0, 1, 0], pred_probs=probs, names=['a.jpg', 'b.jpg', 'c.jpg', 'd.jpg']
    )

    def quality(labels, probs, method, adjust_pred_probs=False):
        own = probs[np.arange(len(labels)), labels]
        return -own if adjust_pred_probs else own

    found = audit.compare(tmp_path, quality)
    assert found['mmfer: self_confidence'] == dict(auroc=100, average_precision=100)
    # Nothing is remembered of b.jpg: it gets the median, between the others'.
    assert found['mmfer: remembered'] == dict(auroc=50, average_precision=50)
    assert found['cleanlab: self_confidence'] == dict(auroc=100, average_precision=100)
    assert found['cleanlab: self_confidence, adjusted']['auroc'] == 0
    assert set(audit.compare(tmp_path, None)) == {'mmfer: self_confidence', 'mmfer: remembered'}
    (tmp_path / 'labels.csv').write_text('\n'.join([lines[0], *(line.replace(',x,y,', ',x,,') for line in lines[1:])]))
    with pytest.raises(ValueError, match='does not tell right labels from wrong ones'):
        audit.compare(tmp_path, None)
