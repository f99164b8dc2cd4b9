"""Every dataset in every layout trains two iterations and tests, in the loaders of a config."""

import numpy as np
import pytest
from e2e.clone import NARROW
from layouts import LAYOUTS, OTHER_LAYOUTS
from mmengine.registry import DATASETS

CASES = [('as distributed', kind, make) for kind, make in LAYOUTS.items()]
CASES += [('otherwise', kind, make) for kind, make in OTHER_LAYOUTS.items()]


@pytest.mark.parametrize(('_layout', 'kind', 'make'), CASES, ids=[f'{kind}, {layout}' for layout, kind, _ in CASES])
def test_a_dataset_trains_two_iterations_and_tests(_layout, kind, make, trained, clone, tmp_path):
    make(tmp_path / 'data')
    tested = 'test' if 'test' in DATASETS.get(f'mmfer.{kind}').SPLITS else 'val'
    splits = dict(train='train', val=tested, test=tested)
    holdout = dict(holdout=dict(fraction=0.34)) if kind == 'ExpW' else {}  # it has no split of its own
    named = dict(metainfo=dict(classes='rafdb')) if kind in ('CsvFaces', 'FolderFaces') else {}
    child = tmp_path / 'child.py'
    child.write_text(
        '\n'.join(
            [
                f'_base_ = {str(clone / "configs/baseline/r18_rafdb.py")!r}',
                *(
                    f'{loader}_dataloader = dict(dataset=dict(_delete_=True, **{settings!r}))'
                    for loader, settings in (
                        (
                            loader,
                            dict(
                                type=f'mmfer.{kind}',
                                data_root=str(tmp_path / 'data'),
                                split=split,
                                **holdout,
                                **named,
                                pipeline=[dict(type='mmfer.LoadFace', size=32), dict(type='mmfer.PackFace')],
                            ),
                        )
                        for loader, split in splits.items()
                    )
                ),
            ]
        )
    )
    classes = 11 if kind == 'RAFDBCompound' else 8 if kind in ('AffectNet', 'FERPlus') else 7
    loaders = {
        f'{loader}_dataloader.{key}': value
        for loader in splits
        for key, value in dict(batch_size=8, num_workers=0, persistent_workers=False).items()
    }
    runner = trained(
        str(child),
        NARROW
        | loaders
        | {
            'train_dataloader.dataset.indices': 16,
            'train_cfg.max_epochs': 1,
            'data_preprocessor.size': 32,
            'model.pretrained': None,
            'model.head.num_classes': classes,
        },
    )
    assert runner.iter == 2
    metrics = runner.test()
    assert 0 <= metrics['accuracy'] <= 100
    assert np.unique(runner.test_dataloader.dataset.get_gt_labels()).tolist() == list(range(classes))
    assert all(weight.isfinite().all() for weight in runner.model.parameters())
