"""A run that is cut off and resumed ends bit for bit where an uninterrupted one ends."""

import csv
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from e2e.clone import NARROW, options, tiny
from mmengine.device import get_device
from mmengine.runner import EpochBasedTrainLoop, Runner, ValLoop

from mmfer.engine.hooks import ReseedHook, SampleBankHook

pytestmark = [
    pytest.mark.skipif(get_device() != 'cpu', reason='GPUs do not add in a fixed order'),
    # Python 3.12 and later warn when loaders fork their workers beside torch's threads.
    pytest.mark.filterwarnings('ignore:This process .* is multi-threaded:DeprecationWarning'),
]

# Noisy labels, so that the report holds what the bank believes, too.
CONFIG = 'configs/lanet/r18_rafdb_96px_12e_sym30.py'
WORKERS = {
    f'{split}_dataloader.{key}': value
    for split in ('train', 'val')
    for key, value in (('num_workers', 2), ('persistent_workers', True))
}
VALUES = (
    tiny(CONFIG)
    | NARROW
    | WORKERS
    | {
        'train_cfg.max_epochs': 4,
        'train_dataloader.batch_size': 6,  # 6 + 6 + 4 faces an epoch; 64 keys pass through the queues of 20
        'train_dataloader.drop_last': False,
        'default_hooks.checkpoint.max_keep_ckpts': -1,
    }
)
RUN: dict[str, Path] = {}


@pytest.fixture
def command(train_tool, clone, monkeypatch):
    """Runs tools/train.py in a folder."""
    loaders, build = [], Runner.build_dataloader

    def build_and_note(*args, **kwargs):
        loaders.append(build(*args, **kwargs))
        return loaders[-1]

    monkeypatch.setattr(Runner, 'build_dataloader', staticmethod(build_and_note))

    def main(folder, *more, config=CONFIG, values=VALUES):
        try:
            train_tool.main([config, '--work-dir', str(folder), *more, *options(values)])
        finally:
            # Left to the garbage collector, each worker would be waited for in vain for 5 s: a process that ends is
            # spared that, but this one goes on.
            for loader in loaders:
                if loader._iterator is not None:
                    loader._iterator._shutdown_workers()

    return main


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


def leaves(value, path: str = '') -> Iterator[tuple[str, object]]:
    """Everything in nested containers, by place."""
    if isinstance(value, dict | list | tuple):
        for key, item in value.items() if isinstance(value, dict) else enumerate(value):
            yield from leaves(item, f'{path}/{key}')
    else:
        yield path, value


def content(checkpoint: Path) -> dict[str, object]:
    """What a checkpoint holds, apart from times and folders."""
    holds = torch.load(checkpoint, weights_only=True)
    meta, scalars = holds.pop('meta'), holds.pop('message_hub')['log_scalars']
    meta = {key: meta[key] for key in ('epoch', 'iter', 'seed')}
    scalars = {name: scalar.data[0].tolist() for name, scalar in scalars.items() if not name.endswith('time')}
    assert {'state_dict', 'optimizer', 'param_schedulers', 'mmfer_protocol'} <= set(holds)
    return dict(leaves(dict(holds, meta=meta, scalars=scalars)))


def differences(ours: dict[str, object], theirs: dict[str, object]) -> list[str]:
    """Places where two checkpoints differ in a single bit."""

    def same(a, b):
        return torch.equal(a, b) and a.dtype == b.dtype if isinstance(a, torch.Tensor) else a == b

    return [
        place
        for place in ours.keys() | theirs.keys()
        if place not in ours or place not in theirs or not same(ours[place], theirs[place])
    ]


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

# Of 64 px, so that the last stage has a map, and without workers: shorter runs, as there are many.
SMALL = (
    WORKERS
    | {key: 0 if key.endswith('num_workers') else False for key in WORKERS}
    | {
        'data_preprocessor.size': 64,
        **{
            key: VALUES[key]
            for key in (
                'train_cfg.max_epochs',
                'train_dataloader.batch_size',
                'train_dataloader.drop_last',
                'default_hooks.checkpoint.max_keep_ckpts',
            )
        },
    }
)
NARROW_ARM = NARROW | {
    'model.neck.in_channels': 64,
    'model.neck.map_size': 2,
    'model.neck.upscale': 4,
    'model.head.in_channels': 25,
}
RELABEL, RELIABILITY = 'model.supervision.scn.refiners.relabel', 'model.supervision.sna.refiners.reliability'
CODEC = 'model.supervision.sna.branches.neighbours.autoencoder'
# Labels change from the second epoch on, at most two of six a step, so that some are left for the last two epochs; and
# weights fall.
SCN = {f'{RELABEL}.start_epoch': 2, f'{RELABEL}.margin': 0.0, f'{RELABEL}.scope': 'low'}
SNA = {
    f'{RELIABILITY}.warmup': 1,
    f'{RELIABILITY}.fraction': 0.5,
    f'{RELIABILITY}.temperature': 1e-5,
    f'{CODEC}.size': 16,
    f'{CODEC}.channels': 4,
    f'{CODEC}.latent_dim': 8,
}
METHODS = {
    'scn': ('configs/scn/r18_rafdb_96px_12e_sym30.py', NARROW | SCN),
    'arm': ('configs/arm/r18_rafdb_96px_12e_sym30.py', NARROW_ARM),
    'pal': ('configs/pal/r18_rafdb_96px_12e_sym30.py', NARROW),
    'sna': ('configs/sna/r18_rafdb_96px_12e_sym30.py', NARROW | SNA),
    'all': ('configs/combined/scn_arm_pal_lanet_sna_r18_rafdb_96px_12e_sym30.py', NARROW_ARM | SCN | SNA),
}
BANK = '/sample_bank/columns'
GOES_ON = {
    'scn': (f'{BANK}/relabelled', f'{BANK}/importance', '/mmfer_protocol/records/3/train/scn.importance_low'),
    'arm': ('/state_dict/neck.generic', '/state_dict/neck.a'),
    'pal': ('/mmfer_protocol/records/3/train/pal.pal_loss',),
    'sna': (f'{BANK}/instability', f'{BANK}/reliability'),
}
GOES_ON['all'] = (*(place for places in GOES_ON.values() for place in places), f'{BANK}/label_distribution')
"""What each method remembers: it moves from epoch 2 to epoch 4."""


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
    command(resumed, '--resume', config=config, values=values)

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
