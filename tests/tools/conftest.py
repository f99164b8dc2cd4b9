"""A miniature run of a real config, and the tools as functions."""

import importlib
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest
from miniature import make_rafdb

ROOT = Path(__file__).parents[2]
CONFIG = str(ROOT / 'configs/lanet/r18_rafdb_96px_12e.py')
RUN: dict[str, Path] = {}


def load_tool(name: str) -> ModuleType:
    """What a file under tools/ runs, such as 'dataset_tools/noise'."""
    room, _, tool = name.rpartition('/')
    room = {'dataset_tools': 'data.', 'analysis_tools': 'analyze.'}.get(room, '')
    return importlib.import_module(f'mmfer.cli.{room}{tool}')


def small(data: Path, **options) -> list[str]:
    """Options that leave LA-Net as it is, and make faces, network and queues tiny."""
    loader = {'num_workers': 0, 'persistent_workers': False, 'dataset.data_root': data, 'dataset.pipeline.0.size': 32}
    made = {f'{split}_dataloader.{key}': value for split in ('train', 'val', 'test') for key, value in loader.items()}
    made |= {
        'train_dataloader.batch_size': 8,
        'test_dataloader.batch_size': 4,
        'data_preprocessor.size': 32,
        'model.backbone.base_channels': 8,
        'model.backbone.stem_channels': 8,
        'model.head.in_channels': 64,
        'model.supervision.lanet.branches.keys.queue_size': 16,
        'train_cfg.max_epochs': 2,
    }
    made |= {key.replace('__', '.'): value for key, value in options.items()}
    return ['--cfg-options', *(f'{key}={value}' for key, value in made.items())]


@pytest.fixture
def tools() -> SimpleNamespace:
    """The `main` of every tool, and train.py's way from a command line to a config."""
    names = {'train': 'train', 'test': 'test', 'predict': 'predict', 'export': 'model_tools/export'}
    modules = {name: load_tool(path) for name, path in names.items()}
    train = modules['train']
    return SimpleNamespace(
        configure=lambda arguments: train.configure(train.parse_args(arguments)),
        **{name: module.main for name, module in modules.items()},
    )


@pytest.fixture
def run(tools, tmp_path_factory, capsys) -> SimpleNamespace:
    """Two epochs of LA-Net on 28 faces, trained by the first test that asks."""
    if not RUN:  # not scope='session': conftest clears mmengine's singletons only around functions
        folder = tmp_path_factory.mktemp('lanet')
        data = Path(make_rafdb(folder / 'data', per_class=4, size=32, test_per_class=2))
        capsys.readouterr()
        tools.train([CONFIG, '--work-dir', str(folder / 'run'), '--seed', '5', *small(data)])
        RUN.update(folder=folder / 'run', data=data)
        (folder / 'said').write_text(capsys.readouterr().out)
    folder = RUN['folder']
    return SimpleNamespace(
        config=CONFIG,
        folder=folder,
        data=RUN['data'],
        options=small(RUN['data']),
        checkpoint=folder / 'epoch_2.pth',
        said=(folder.parent / 'said').read_text(),
        faces=RUN['data'] / 'basic' / 'Image' / 'aligned',
    )


@pytest.fixture
def stops(capsys):
    """Runs a tool that ends with a sentence, and gives that."""

    def call(main, arguments) -> str:
        with pytest.raises(SystemExit) as caught:
            main([str(argument) for argument in arguments])
        assert caught.value.code == 1
        (line,) = (line for line in capsys.readouterr().err.splitlines() if line.startswith('mmfer: error: '))
        return line

    return call
