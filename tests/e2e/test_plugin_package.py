"""examples/acme_fer: a package of its own trains with mmfer, and what goes wrong in it bears its name."""

import json
import os
import shutil
import subprocess
import sys
import traceback
import venv
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
import torch
from e2e.clone import NARROW, ROOT, options
from mmengine import registry as mmengine_registry
from mmengine.config import Config

from mmfer.structures import SampleBank

EXAMPLE = ROOT / 'examples' / 'acme_fer'
CONFIG = EXAMPLE / 'configs' / 'r18_acme.py'
METHOD = 'model.supervision.acme'
FACES = 16


@pytest.fixture
def acme(monkeypatch) -> SimpleNamespace:
    """Its modules, importable for the length of a test."""
    monkeypatch.syspath_prepend(EXAMPLE)
    from acme_fer import __main__, datasets, losses, necks, refiners

    yield SimpleNamespace(draw=__main__, datasets=datasets, losses=losses, necks=necks, refiners=refiners)
    for name in [name for name in sys.modules if name.split('.')[0] == 'acme_fer']:
        del sys.modules[name]
    for registry in (mmengine_registry.MODELS, mmengine_registry.DATASETS):
        registry._children.pop('acme_fer')


@pytest.fixture
def faces(acme, tmp_path, monkeypatch) -> Path:
    """Drawn as the README says, in the folder that the config names."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, 'argv', ['acme_fer', 'data/acme_faces', '--faces', str(FACES), '--size', '32'])
    acme.draw.main()
    return tmp_path / 'data' / 'acme_faces'


def tiny(**values) -> list[str]:
    """Options for one epoch of two iterations that uses all four parts."""
    loader = {'batch_size': 8, 'num_workers': 0, 'persistent_workers': False}
    small = (
        {f'train_dataloader.{key}': value for key, value in loader.items()}
        | NARROW
        | {
            'train_cfg.max_epochs': 1,
            'data_preprocessor.size': 32,
            'model.neck.in_channels': 64,
            'model.head.in_channels': 128,
            f'{METHOD}.refiners.running.start_epoch': 0,
            f'{METHOD}.losses.reverse.loss_weight': 1.0,
        }
    )
    return options(small | values)


def test_it_is_installed_and_trains_its_config(faces, tmp_path):
    """As the README says, outside the clone, in an environment that is this one and what pip adds to it."""
    copy, python = tmp_path / 'elsewhere', tmp_path / 'venv' / 'bin' / 'python'
    shutil.copytree(EXAMPLE, copy, ignore=shutil.ignore_patterns('*.egg-info', 'build', '__pycache__'))
    venv.create(tmp_path / 'venv', symlinks=True)
    (site,) = (tmp_path / 'venv').glob('lib/python*/site-packages')
    # No --system-site-packages: where this environment is one itself, those are the packages of what it was made from.
    here = [path for path in sys.path if Path(path).name in ('site-packages', 'dist-packages')]
    (site / 'here.pth').write_text(''.join(f'import site; site.addsitedir({path!r})\n' for path in here))
    environment = os.environ | dict(PYTHONPATH=str(ROOT))
    pip = [
        python,
        '-m',
        'pip',
        '--quiet',
        '--disable-pip-version-check',
        'install',
        '--no-index',
        '--no-deps',
        '--no-build-isolation',
        '-e',
        copy,
    ]
    done = subprocess.run(pip, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    with (copy / 'acme_fer' / 'losses.py').open('a') as stream:
        stream.write("print('changed after it was installed')\n")
    command = [python, ROOT / 'tools' / 'train.py', copy / 'configs' / 'r18_acme.py', '--work-dir', 'run', *tiny()]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    assert 'changed after it was installed' in done.stdout

    report = json.loads(Path('run/metrics.json').read_text())
    (epoch,) = report['epochs']
    assert (epoch['iter'], report['faces']) == (2, FACES // 2)
    terms = {name: value for name, value in epoch['train'].items() if name.endswith('_loss')}
    assert set(terms) == {'cls.ce_loss', 'acme.reverse_loss'}
    assert all(value > 0 for value in terms.values())
    checkpoint = torch.load('run/epoch_1.pth', weights_only=True)
    assert checkpoint['state_dict']['head.fc.weight'].shape == (7, 128)
    remembered = checkpoint['sample_bank']['columns']['acme_running_prediction']
    assert remembered.shape == (FACES, 7)
    assert ((remembered < 1) & (remembered > 0.89)).sum() > FACES / 2  # the labels, a step of a tenth away from them
    assert 'custom_imports' not in Path('run/r18_acme.py').read_text()


def test_its_config_finds_the_configs_of_mmfer_wherever_it_lies(tmp_path):
    copy = tmp_path / 'anywhere.py'
    copy.write_text(CONFIG.read_text())
    assert Config.fromfile(copy).to_dict() == Config.fromfile(CONFIG).to_dict()
    assert Config.fromfile(copy).train_dataloader.sampler == dict(type='mmfer.ProgressiveSampler')


@pytest.fixture
def fails(faces, train_tool, capsys) -> Callable[..., str]:
    """Trains with a mistake and gives the sentence in which it ends."""

    def fail(values: dict) -> str:
        with pytest.raises(SystemExit) as stopped:
            train_tool.main([str(CONFIG), '--work-dir', 'run', *tiny(**values)])
        assert stopped.value.code == 1
        (printed,) = (line for line in capsys.readouterr().err.splitlines() if line.startswith('mmfer: error: '))
        return printed.removeprefix('mmfer: error: ')

    return fail


@pytest.mark.parametrize(
    ('values', 'says'),
    [
        (
            {f'{METHOD}.losses.reverse.log_zer': -4},
            ['acme.losses.reverse: acme_fer.ReverseCrossEntropyLoss takes no "log_zer"', 'did you mean "log_zero"?'],
        ),
        (
            {f'{METHOD}.losses.reverse.type': 'acme_fer.ReverseCrossEntropyLos'},
            ['as "acme_fer.ReverseCrossEntropyLos"', 'did you mean "acme_fer.ReverseCrossEntropyLoss"?'],
        ),
        (
            {f'{METHOD}.refiners.running.share': 2},
            [
                'needs share in [0, 1], got 2',
                'in supervision.acme.refiners.running, acme_fer.refiners.RunningPrediction',
            ],
        ),
        (
            {f'{METHOD}.losses.reverse.inputs.target': 'targett'},
            ['supervision.acme.losses.reverse needs "targett"', 'did you mean "target"?'],
        ),
        ({'model.neck.type': 'acme_fer.BandPool'}, ["type='acme_fer.BandPool'", 'did you mean acme_fer.BandPooling?']),
        ({'model.neck.band': 3}, ["BandPooling has no parameter 'band'", 'did you mean bands?']),
        ({'model.neck.bands': 3}, ['BandPooling gives 192 features', 'set model.head.in_channels=192']),
        (
            {'train_dataloader.dataset.data_root': 'nowhere'},
            ["FaceFolders expects train in data_root='nowhere'", 'python -m acme_fer FOLDER'],
        ),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else '',
)
def test_a_mistake_in_the_config_names_the_packages_part(fails, values, says):
    printed = fails(values)
    for words in says:
        assert words in printed
    assert 'mmfer.' not in printed.replace('acme_fer.', '')


def test_a_folder_that_is_no_class_is_named_with_the_module_that_read_it(fails, faces):
    (faces / 'train' / 'boredom').mkdir()
    printed = fails({})
    assert printed.startswith('data/acme_faces/train/boredom is no class')
    assert '(in acme_fer.datasets.FaceFolders; MMFER_TRACEBACK=1' in printed


@pytest.mark.parametrize(
    ('part', 'returns', 'says'),
    [
        (
            'losses.reverse',
            ValueError('odd logits'),
            'odd logits (in supervision.acme.losses.reverse, acme_fer.losses.ReverseCrossEntropyLoss; MMFER_TRACE',
        ),
        (
            'refiners.running',
            torch.ones(8),
            'supervision.acme.refiners.running: acme_fer.refiners.RunningPrediction returned a Tensor, no dict',
        ),
        ('refiners.running', {'targets': torch.ones(8)}, 'RunningPrediction returned "targets", which is not among'),
    ],
    ids=['raises', 'returns no dict', 'returns another name'],
)
def test_a_part_that_goes_wrong_in_a_step_is_named(acme, fails, monkeypatch, part, returns, says):
    kind = acme.losses.ReverseCrossEntropyLoss if 'reverse' in part else acme.refiners.RunningPrediction

    def forward(self, logits, target):
        if isinstance(returns, Exception):
            raise returns
        return returns

    monkeypatch.setattr(kind, 'forward', forward)
    assert says in fails({})


def test_a_neck_that_goes_wrong_is_named(acme, fails, monkeypatch):
    """The network's own parts have no place under `supervision`."""

    def forward(self, x):
        raise ValueError(f'odd map of {len(x)} stages')

    monkeypatch.setattr(acme.necks.BandPooling, 'forward', forward)
    assert fails({}).startswith('odd map of 1 stages (in acme_fer.necks.BandPooling; MMFER_TRACEBACK=1')


@pytest.mark.usefixtures('faces')
def test_a_bug_in_a_part_keeps_its_traceback_and_says_where_the_part_stands(acme, train_tool, monkeypatch):
    monkeypatch.setattr(acme.losses.ReverseCrossEntropyLoss, 'forward', lambda self, logits, target: logits.sofmax(1))
    with pytest.raises(AttributeError, match='sofmax') as raised:
        train_tool.main([str(CONFIG), '--work-dir', 'run', *tiny()])
    assert Path(traceback.extract_tb(raised.value.__traceback__)[-1].filename) == Path(__file__)  # the part's own line
    assert raised.value.__notes__ == ['in supervision.acme.losses.reverse, acme_fer.losses.ReverseCrossEntropyLoss']


def test_reverse_cross_entropy_of_a_class_id_is_what_the_other_classes_are_given(acme):
    """With one-hot targets it is -A (1 - p_y), a multiple of the mean absolute error (Wang et al., sec. 3.2)."""
    logits = torch.randn(5, 7, dtype=torch.float64, requires_grad=True)
    label, weight = torch.tensor([0, 6, 3, 3, 1]), torch.tensor([1.0, 2.0, 0.0, 1.0, 0.5], dtype=torch.float64)
    loss = acme.losses.ReverseCrossEntropyLoss(log_zero=-4, loss_weight=0.5)
    given = 1 - logits.softmax(1)[range(5), label]
    torch.testing.assert_close(loss(logits, label, weight), 0.5 * 4 * (given * weight).sum() / 4.5)
    assert torch.autograd.gradcheck(lambda x: loss(x, label, weight), logits)
    certain = torch.tensor([[-90.0, 90.0]], dtype=torch.float64)  # wrong, and sure of it: a bounded amount
    torch.testing.assert_close(loss(certain, torch.tensor([0]), torch.ones(1)).item(), 0.5 * 4)


def test_reverse_cross_entropy_of_a_distribution(acme):
    probs, target = [0.5, 0.3, 0.2], [0.9, 0.1, 0.0]
    expected = -(0.5 * np.log(0.9) + 0.3 * np.log(0.1) + 0.2 * -4)
    loss = acme.losses.ReverseCrossEntropyLoss()(torch.tensor([probs]).log(), torch.tensor([target]), torch.ones(1))
    assert loss.item() == pytest.approx(expected)


def test_the_running_mean_moves_towards_what_is_predicted(acme):
    refiner, bank = acme.refiners.RunningPrediction(momentum=0.9, share=0.5, start_epoch=1), SampleBank()
    bank.declare(refiner.bank_columns(), 'test')
    bank.allocate(torch.tensor([1, 0]), 2)
    logits, index = torch.tensor([[0.2, 0.8]]).log(), torch.tensor([1])
    label = torch.tensor([0])
    assert refiner(logits, label, index, 0, bank)['target'] is label  # too early
    for _ in range(5):
        target = refiner(logits, label, index, 1, bank)['target']
        bank.commit()
    # The first visit gives [.92, .08]; five give 1 - .8 (1 - .9 ** 5).
    remembered = bank.column('acme_running_prediction')
    torch.testing.assert_close(remembered, torch.tensor([[0.0, 1.0], [0.672392, 0.327608]]))
    torch.testing.assert_close(target, torch.tensor([[(1 + 0.672392) / 2, 0.327608 / 2]]))
    amended = refiner(logits, torch.tensor([[0.5, 0.5]]), index, 1, bank)['target']  # another refiner was there before
    mean = 0.9 * 0.672392 + 0.1 * 0.2
    torch.testing.assert_close(amended, torch.tensor([[(0.5 + mean) / 2, (0.5 + 1 - mean) / 2]]))


def test_bands_are_pooled_apart(acme):
    x = torch.rand(2, 3, 7, 5)
    neck = acme.necks.BandPooling(in_channels=3, bands=2)
    (pooled,) = neck((x * 0, x))
    assert pooled.shape == (2, neck.out_channels)
    torch.testing.assert_close(pooled.view(2, 3, 2)[..., 0], x[:, :, :4].mean((2, 3)))
    torch.testing.assert_close(pooled.view(2, 3, 2)[..., 1], x[:, :, 3:].mean((2, 3)))
    torch.testing.assert_close(acme.necks.BandPooling(3, bands=1)(x)[0], x.mean((2, 3)))


def test_folders_are_classes_by_any_of_their_names(acme, tmp_path):
    for name, count in (('Happy', 2), ('anger', 1), ('neutral', 0)):
        (tmp_path / 'train' / name).mkdir(parents=True)
        for i in range(count):
            cv2.imwrite(str(tmp_path / 'train' / name / f'{i}.png'), np.full((8, 8, 3), 10 * i, np.uint8))
    (tmp_path / 'train' / 'anger' / 'notes.txt').write_text('no picture')
    faces = acme.datasets.FaceFolders(data_root=str(tmp_path))
    happiness, anger = (faces.metainfo['classes'].index(name) for name in ('happiness', 'anger'))
    assert faces.get_gt_labels().tolist() == [happiness, happiness, anger]
    assert [faces.get_data_info(i)['img_path'] for i in range(3)] == [
        str(tmp_path / 'train' / name) for name in ('Happy/0.png', 'Happy/1.png', 'anger/0.png')
    ]
    with pytest.raises(FileNotFoundError, match=r"split='test' from .*test, which is missing"):
        acme.datasets.FaceFolders(data_root=str(tmp_path), split='test')
