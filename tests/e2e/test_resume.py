"""A run that is cut off and resumed ends bit for bit where an uninterrupted one ends."""

import csv
import json
from pathlib import Path

import pytest
from e2e.clone import options, tiny
from e2e.resumed import BANK, CONFIG, GOES_ON, METHODS, SMALL, VALUES, content, differences
from mmengine.device import get_device
from mmengine.runner import EpochBasedTrainLoop, ValLoop

from mmfer.engine.hooks import ReseedHook, SampleBankHook

pytestmark = [
    pytest.mark.skipif(get_device() != 'cpu', reason='GPUs do not add in a fixed order'),
    # Python 3.12 and later warn when loaders fork their workers beside torch's threads.
    pytest.mark.filterwarnings('ignore:This process .* is multi-threaded:DeprecationWarning'),
]

RUN: dict[str, Path] = {}


@pytest.fixture
def whole(command, tmp_path_factory) -> Path:
    """The folder of a run of four epochs, made by the first test that asks."""
    if not RUN:  # not scope='module': conftest clears mmengine's singletons only around functions
        folder = tmp_path_factory.mktemp('whole')
        command(folder)
        RUN['folder'] = folder
    return RUN['folder']


def cut(monkeypatch, command, folder: Path, moment: str) -> None:
    """Two epochs, then Ctrl-C at a moment."""
    steps = dict(
        validation=(ValLoop, 'run', lambda loop, *_: loop.runner.epoch == 2),
        step=(EpochBasedTrainLoop, 'run_iter', lambda loop, idx, *_: (loop.epoch, idx) == (2, 1)),
    )
    loop_type, name, due = steps[moment]
    method = getattr(loop_type, name)

    def interrupted(loop, *args):
        if due(loop, *args):
            raise KeyboardInterrupt
        return method(loop, *args)

    with monkeypatch.context() as patch:
        patch.setattr(loop_type, name, interrupted)
        with pytest.raises(SystemExit) as stopped:
            command(folder)
    assert stopped.value.code == 130
    assert sorted(path.name for path in folder.glob('epoch_*.pth')) == ['epoch_1.pth', 'epoch_2.pth']


@pytest.mark.parametrize('moment', ['validation', 'step'])
def test_two_and_two_epochs_are_four(whole, command, monkeypatch, tmp_path, moment):
    cut(monkeypatch, command, tmp_path, moment)
    half = content(tmp_path / 'epoch_2.pth')
    assert differences(half, content(whole / 'epoch_2.pth')) == []
    command(tmp_path, '--resume')
    resumed = content(tmp_path / 'epoch_4.pth')
    assert differences(resumed, content(whole / 'epoch_4.pth')) == []
    assert (tmp_path / 'metrics.json').read_text() == (whole / 'metrics.json').read_text()
    assert [epoch['epoch'] for epoch in json.loads((tmp_path / 'metrics.json').read_text())['epochs']] == [1, 2, 3, 4]


def test_what_is_compared_is_there_and_goes_on_moving(whole):
    """Without this, equality could mean that nothing was remembered."""
    half, end = content(whole / 'epoch_2.pth'), content(whole / 'epoch_4.pth')
    moved = differences(half, end)
    keys = '/state_dict/supervision.methods.lanet.branches.keys'
    moving = [
        '/state_dict/backbone.conv1.weight',
        '/state_dict/backbone.bn1.running_var',
        '/state_dict/head.fc.bias',
        '/optimizer/state/0/exp_avg_sq',
        '/optimizer/state/0/step',
        '/optimizer/param_groups/0/lr',
        '/sample_bank/columns/label_distribution',
        '/mmfer_protocol/records/3/train/lanet.kl_loss',
    ]
    moving += [
        f'{keys}.{name}'
        for name in (
            'expression_queue',
            'landmark_queue',
            'queue_label',
            'position',
            'twin.backbone.conv1.weight',
            'twin.backbone.bn1.running_mean',
        )
    ]
    for place in moving:
        assert place in end
        assert place in moved
    bank = end[f'{BANK}/label_distribution']
    assert bank.shape == (16, 7)
    assert ((bank > 0) & (bank < 1)).any()
    assert end['/meta/iter'] == 12
    assert any(name.startswith('/scalars/val/distribution_top1') for name in end)


@pytest.mark.parametrize('forgetful', ['the bank', 'the random numbers'])
def test_a_resume_that_forgets_something_is_noticed(whole, command, monkeypatch, tmp_path, forgetful):
    for name in ('epoch_2.pth', 'last_checkpoint'):
        (tmp_path / name).write_bytes((whole / name).read_bytes())
    (tmp_path / 'last_checkpoint').write_text(str(tmp_path / 'epoch_2.pth'))
    hook, method = (
        (SampleBankHook, 'after_load_checkpoint') if forgetful == 'the bank' else (ReseedHook, 'before_train_iter')
    )
    monkeypatch.setattr(hook, method, lambda *_, **__: None)
    command(tmp_path, '--resume')
    places = differences(content(tmp_path / 'epoch_4.pth'), content(whole / 'epoch_4.pth'))
    assert '/state_dict/backbone.conv1.weight' in places
    assert '/sample_bank/columns/label_distribution' in places
    assert (tmp_path / 'metrics.json').read_text() != (whole / 'metrics.json').read_text()


def test_a_run_resumes_on_the_faces_and_labels_it_began_with(whole, train_tool, capsys, tmp_path):
    (tmp_path / 'epoch_2.pth').write_bytes((whole / 'epoch_2.pth').read_bytes())
    other = VALUES | {'train_dataloader.dataset.label_noise.seed': 1}
    with pytest.raises(SystemExit) as stopped:
        train_tool.main(
            [CONFIG, '--work-dir', str(tmp_path), '--resume', str(tmp_path / 'epoch_2.pth'), *options(other)]
        )
    assert stopped.value.code == 1
    assert 'the checkpoint remembers another training set (other images or labels)' in capsys.readouterr().err


# --- every method ---


@pytest.mark.parametrize('method', METHODS)
def test_two_and_two_epochs_are_four_with_every_method(method, command, tmp_path):
    config, values = METHODS[method]
    values = tiny(config) | SMALL | values
    whole, resumed = tmp_path / 'whole', tmp_path / 'resumed'
    command(whole, config=config, values=values)
    # As if the run had been cut off behind epoch 2, with what it had written of the next ones.
    resumed.mkdir()
    for path in whole.glob('*'):
        if path.suffix in ('.csv', '.json') or path.name == 'epoch_2.pth':
            (resumed / path.name).write_bytes(path.read_bytes())
    (resumed / 'last_checkpoint').write_text(str(resumed / 'epoch_2.pth'))
    # Of all methods together once more: what is remembered per sample lies on a disk from here on, to the same bits.
    on_disk = {'default_hooks.sample_bank.on_disk': method == 'all'}
    command(resumed, '--resume', config=config, values=values | on_disk)
    assert not list(resumed.glob('sample_bank.*'))

    half, end = content(whole / 'epoch_2.pth'), content(whole / 'epoch_4.pth')
    assert differences(content(resumed / 'epoch_4.pth'), end) == []
    assert (resumed / 'metrics.json').read_text() == (whole / 'metrics.json').read_text()

    moved = differences(half, end)
    for place in ('/state_dict/backbone.conv1.weight', *GOES_ON[method]):
        assert place in end
        assert place in moved
    if f'{BANK}/relabelled' in end:
        table = (whole / 'relabels.csv').read_text()
        assert (resumed / 'relabels.csv').read_text() == table
        epochs = [row['epoch'] for row in csv.DictReader(table.splitlines())]
        assert epochs == sorted(epochs)
        assert '2' in epochs
        assert {'3', '4'} & set(epochs)
        assert '1' not in epochs
    if f'{BANK}/reliability' in end:
        assert (half[f'{BANK}/reliability'] < 0.99).any()
        assert (end[f'{BANK}/reliability'] < 0.99).any()
