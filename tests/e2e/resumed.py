"""Small runs of every method, and what of their checkpoints is compared bit by bit."""

from collections.abc import Iterator
from pathlib import Path

import torch
from e2e.clone import NARROW, tiny

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
