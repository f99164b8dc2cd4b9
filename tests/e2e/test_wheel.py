"""The command `mmfer` as users get it: from a wheel in an environment of its own, in an empty folder."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import venv
import zipfile
from pathlib import Path
from types import SimpleNamespace

import pytest
from e2e.clone import ALL, NARROW, ROOT, tiny

CONFIG = 'configs/lanet/r18_synthfaces.py'
SOURCES = ('mmfer', 'configs', 'tools', 'model-index.yml', 'setup.py', 'pyproject.toml', 'README.md', 'LICENSE')
OPTIONS = [f'{key}={value}' for key, value in (tiny(CONFIG) | NARROW).items()]
PLUGIN = """
_base_ = 'mmfer::lanet/r18_synthfaces.py'
model = dict(supervision=dict(acme=dict(losses=dict(entropy=dict(type='acme.EntropyLoss', loss_weight=0.5)))))
"""
LOSS = """
from mmengine import registry as mmengine
from torch import nn

MODELS = mmengine.Registry('model', parent=mmengine.MODELS, scope='acme', locations=['acme.registry'])


@MODELS.register_module()
class EntropyLoss(nn.Module):
    def __init__(self, loss_weight=1.0):
        super().__init__()
        self.loss_weight = loss_weight

    def forward(self, logits):
        return -self.loss_weight * (logits.softmax(1) * logits.log_softmax(1)).sum(1).mean()
"""


def run(*words: object, **more) -> subprocess.CompletedProcess:
    done = subprocess.run([str(word) for word in words], capture_output=True, text=True, **more)
    assert done.returncode == 0, f'{shlex.join(map(str, words))}\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}'
    return done


@pytest.fixture(scope='module')
def built(tmp_path_factory) -> SimpleNamespace:
    """A wheel of the sources, their sdist, and a wheel of that."""
    folder = tmp_path_factory.mktemp('built')
    (folder / 'source').mkdir()
    for name in SOURCES:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, folder / 'source' / name, ignore=shutil.ignore_patterns('__pycache__'))
        else:
            shutil.copy2(ROOT / name, folder / 'source')
    run(sys.executable, 'setup.py', '-q', 'sdist', '-d', folder, cwd=folder / 'source')
    (sdist,) = folder.glob('*.tar.gz')
    wheel = [sys.executable, '-m', 'pip', 'wheel', '-q', '--no-deps', '--no-index', '--no-build-isolation']
    run(*wheel, '-w', folder / 'of_source', folder / 'source')
    run(*wheel, '-w', folder / 'of_sdist', sdist)
    (of_source,), (of_sdist,) = (folder.joinpath(name).glob('*.whl') for name in ('of_source', 'of_sdist'))
    return SimpleNamespace(sdist=sdist, of_source=of_source, of_sdist=of_sdist)


@pytest.fixture(scope='module')
def installed(built, tmp_path_factory) -> Path:
    """The programs of an environment that has the wheel, and of this one all but mmfer."""
    folder = tmp_path_factory.mktemp('installed')
    venv.create(folder, symlinks=True, with_pip=False)
    python = folder / 'bin' / 'python'
    run(sys.executable, '-m', 'pip', '--python', python, 'install', '-q', '--no-deps', '--no-index', built.of_sdist)
    # A line in a .pth file adds the folder alone: .pth files in it, such as that of an editable mmfer, are not read.
    others = sysconfig.get_path('purelib')
    (own,) = (folder / 'lib').glob('python*/site-packages')
    (own / 'others.pth').write_text(f'{others}\n')
    return folder / 'bin'


@pytest.fixture
def typed(installed, tmp_path, monkeypatch):
    """Types a command in an empty folder of somebody who has no clone."""
    monkeypatch.chdir(tmp_path)
    environment = {name: value for name, value in os.environ.items() if name not in ('PYTHONPATH', 'VIRTUAL_ENV')}
    environment['PATH'] = os.pathsep.join([str(installed), os.environ['PATH']])

    def call(*words: object, **more: str) -> str:
        return run(*words, env=environment | more).stdout

    return call


def test_both_archives_carry_configs_tools_and_the_index(built):
    with zipfile.ZipFile(built.of_source) as one, zipfile.ZipFile(built.of_sdist) as other:
        names = set(one.namelist())
        assert names == set(other.namelist())
    with tarfile.open(built.sdist) as archive:
        inside = {name.partition('/')[2] for name in archive.getnames()}
    shipped = {f'mmfer/.mim/{name}' for name in [*ALL, 'configs/_base_/default_runtime.py', 'model-index.yml']}
    shipped |= {f'mmfer/.mim/tools/{name}' for name in ('train.py', 'dist_train.sh', 'dataset_tools/check.py')}
    for held in (names, inside):
        assert shipped - held == set()
        assert not [name for name in held if '__pycache__' in name or name.startswith(('tests/', 'data/'))]


def test_what_is_installed_trains_tests_and_takes_plugins(typed, tmp_path):
    where = typed('python', '-c', 'import mmfer; print(mmfer.__file__)').strip()
    assert not Path(where).is_relative_to(ROOT)

    assert 'analyze noise-report' in typed('mmfer', '--help')
    listed = typed('mmfer', 'configs', 'lanet', 'synth')
    assert 'lanet/r18_synthfaces.py' in listed
    assert 'LA-Net' in listed

    said = typed('mmfer', 'train', 'lanet/r18_synthfaces.py', '--cfg-options', *OPTIONS)
    (following,) = [line.removeprefix('next: ') for line in said.splitlines() if line.startswith('next: ')]
    assert following == 'mmfer test work_dirs/lanet/r18_synthfaces/epoch_1.pth'
    assert 'next: mmfer predict IMAGE_OR_FOLDER --checkpoint' in typed(*shlex.split(following))

    (tmp_path / 'acme').mkdir()
    (tmp_path / 'acme/__init__.py').touch()
    (tmp_path / 'acme/registry.py').write_text(LOSS)
    (tmp_path / 'plugin.py').write_text(PLUGIN)
    said = typed('mmfer', 'train', 'plugin.py', '--cfg-options', *OPTIONS, PYTHONPATH=str(tmp_path))
    assert 'next: mmfer test work_dirs/plugin/epoch_1.pth' in said
    assert '"acme.entropy_loss"' in (tmp_path / 'work_dirs/plugin/metrics.json').read_text()
