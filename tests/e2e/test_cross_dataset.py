"""Train on one dataset, test on another; train on two at once."""

import numpy as np
from e2e.clone import NARROW, few, tiny

ON_FERPLUS = 'configs/baseline/r18_rafdb_on_ferplus.py'
TOGETHER = 'configs/scn/r18_rafdb_affectnet7.py'
NONE = {'model.pretrained': None}


def test_trained_on_rafdb_and_tested_on_ferplus(trained):
    values = tiny(ON_FERPLUS) | NARROW | NONE | few('test_dataloader.dataset', None)
    values |= {
        'test_dataloader.batch_size': 8,
        'test_dataloader.num_workers': 0,
        'test_dataloader.persistent_workers': False,
    }
    runner = trained(ON_FERPLUS, values)
    tested = runner.test_dataloader.dataset
    assert tested.metainfo['classes'] == runner.train_dataloader.dataset.metainfo['classes']
    assert tested.metainfo['classes'][3] == 'happiness'
    # The miniature has three faces of each of eight expressions, in the order of FER+: happiness is its second.
    labels = tested.get_gt_labels()
    assert np.bincount(labels).tolist() == [3] * 7
    assert labels[:3].tolist() == [6, 3, 0]  # neutral, happiness, surprise
    assert 0 <= runner.test()['accuracy'] <= 100


def test_two_datasets_share_classes_and_no_index(trained):
    runner = trained(TOGETHER, tiny(TOGETHER) | NARROW | NONE)
    both = runner.train_dataloader.dataset
    assert [len(dataset) for dataset in both.datasets] == [8, 8]
    assert [both.get_data_info(i)['sample_idx'] for i in range(16)] == list(range(16))
    # AffectNet counts neutral, happiness, sadness, surprise, fear, disgust, anger, contempt; RAF-DB otherwise.
    assert [both.get_data_info(8 + i)['gt_label'] for i in range(7)] == [6, 3, 4, 0, 1, 2, 5]
    assert runner.model.supervision.bank.column('relabelled').shape == (16,)
