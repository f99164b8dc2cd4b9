"""A finished run of SCN in small, for the tests of what looks at runs."""

from pathlib import Path
from types import SimpleNamespace

from miniature import make_rafdb

from mmfer.apis import read_config, train

CONFIG = str(Path(__file__).parents[1] / 'configs/scn/r18_rafdb_96px_12e_sym30.py')
RUN: dict[str, SimpleNamespace] = {}


def scn_run(tmp_path_factory) -> SimpleNamespace:
    """Two epochs on 28 faces with noisy labels, which relabel as often as they can; trained by the first that asks."""
    if not RUN:  # not a fixture of the session: conftest clears mmengine's singletons only around functions
        folder = tmp_path_factory.mktemp('scn')
        data = make_rafdb(folder / 'data', per_class=4, size=32, test_per_class=2, landmarks=False)
        loader = {
            'num_workers': 0,
            'persistent_workers': False,
            'dataset.data_root': data,
            'dataset.pipeline.0.size': 32,
        }
        options = {
            f'{split}_dataloader.{key}': value for split in ('train', 'val', 'test') for key, value in loader.items()
        }
        relabel = dict(start_epoch=1, margin=0.0, scope='all')
        options |= {f'model.supervision.scn.refiners.relabel.{key}': value for key, value in relabel.items()}
        options |= {
            'train_dataloader.batch_size': 7,
            'data_preprocessor.size': 32,
            'train_cfg.max_epochs': 2,
            'model.backbone.base_channels': 8,
            'model.backbone.stem_channels': 8,
            'model.head.in_channels': 64,
        }
        train(read_config(CONFIG, options, folder / 'run'))
        RUN['scn'] = SimpleNamespace(
            config=CONFIG,
            options=options,
            folder=folder / 'run',
            checkpoint=folder / 'run' / 'epoch_2.pth',
            typed=['--cfg-options', *(f'{key}={value}' for key, value in options.items())],
        )
    return RUN['scn']
