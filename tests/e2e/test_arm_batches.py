"""benchmarks/batch_dependence.py on a trained ARM: how faces are batched for testing changes no prediction."""

import importlib.util
import sys
from collections import Counter

import pytest
import torch
from e2e.clone import NARROW, ROOT, options

CONFIG = 'configs/arm/r18_synthfaces.py'
FACES = 80
SMALL = NARROW | {
    'model.neck.in_channels': 64,
    'model.neck.upscale': 4,
    'model.head.in_channels': 25,
    'train_dataloader.dataset.num': 128,
    'train_dataloader.batch_size': 16,
    'train_cfg.max_epochs': 8,
    'optim_wrapper.optimizer.lr': 3e-3,
    'data_preprocessor.augment': [],
    'data_preprocessor.augment_normalized': [],
    'val_dataloader.dataset.num': FACES,
    'test_dataloader.dataset.num': FACES,
    'default_hooks.checkpoint': None,
}


@pytest.fixture
def tool(monkeypatch):
    spec = importlib.util.spec_from_file_location('batches', ROOT / 'benchmarks' / 'batch_dependence.py')
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, spec.name, module)  # where dataclasses look
    spec.loader.exec_module(module)
    return module


def test_accuracy_has_no_spread_over_batches_but_with_the_mean_of_the_test_batch(trained, tool, tmp_path, capsys):
    state = trained(CONFIG, SMALL).model.state_dict()
    assert state['neck.num_batches_tracked'].item() == 64
    torch.save(dict(state_dict=state, meta={}), tmp_path / 'ema.pth')
    seen = list(tool.trials(CONFIG, tmp_path / 'ema.pth', [1, 8, 64, tool.ALL], 1, SMALL))
    assert [(trial.order, trial.size) for trial in seen] == [
        (order, size) for order in range(2) for size in (1, 8, 64, tool.ALL)
    ]
    assert tool.spread_of(seen) == (0, 0)
    assert len(seen[0].predicted) == FACES
    assert len(Counter(seen[0].predicted.values())) > 2  # a network that says "happy" to all would pass as well

    # The same checkpoint tested as the public code does.
    capsys.readouterr()
    tool.main(
        [
            CONFIG,
            str(tmp_path / 'ema.pth'),
            '--sizes',
            '1',
            '80',
            '--shuffles',
            '1',
            *options(SMALL | {'model.neck.generic': 'batch'}),
        ]
    )
    said = capsys.readouterr().out
    assert said.count("ARM(generic='batch') predicts from the mean of each test batch") == 4
    rows = [line.split() for line in said.splitlines() if line.startswith(('batches of', 'one batch'))]
    assert [row[:-1] for row in rows] == [
        f'{size} {order}'.split() for order in ('as listed', 'shuffle 1') for size in ('batches of 1', 'one batch')
    ]
    accuracies = [float(row[-1]) for row in rows]
    assert accuracies[0] == accuracies[2]  # of one face or all of them: the order does not matter
    assert accuracies[1] == accuracies[3]
    last = said.splitlines()[-1]
    assert last.startswith(f'spread {max(accuracies) - min(accuracies):.2f} points; ')
    unlike = int(last.split()[3])
    assert 0 < unlike < FACES
    assert last.endswith(f'of {FACES} faces are not predicted alike')
