"""Settings that a run would pass over without a word end it, or are used."""

import pytest
import torch
from e2e.clone import NARROW, options, tiny

CONFIG = 'configs/baseline/r18_rafdb_96px_12e.py'
SMALL = tiny(CONFIG) | NARROW
CE = 'model.supervision.cls.losses.ce'
PARAMWISE = 'optim_wrapper.paramwise_cfg'


@pytest.mark.parametrize(
    ('values', 'sentence'),
    [
        (
            {'model.head.loss.type': 'FocalLoss'},
            "model.head.loss={'type': 'FocalLoss'} is not used where the model has",
        ),
        ({f'{CE}.type': 'FocalLoss'}, 'no part is registered as "FocalLoss"; did you mean "mmpretrain.FocalLoss"?'),
        ({f'{CE}.class_weight.hapiness': 2}, "class_weight names 'hapiness', but the classes are surprise, fear, "),
        ({f'{CE}.class_weight': '[1,2]'}, 'class_weight has 2 numbers, but model.head.num_classes is 7'),
        ({'model.supervision.cls': None}, 'supervision has no loss, so that nothing would be learnt: add'),
        (
            {f'{PARAMWISE}.custom_keys.bakbone.lr_mult': 0.1},
            "optim_wrapper.paramwise_cfg.custom_keys names 'bakbone', which is in the name of no parameter that is "
            "trained; did you mean 'backbone'?",
        ),
        (
            {f'{PARAMWISE}.custom_keys.backbone.lr_mul': 0.1},
            "optim_wrapper.paramwise_cfg.custom_keys['backbone'] has no setting 'lr_mul'; did you mean 'lr_mult'?",
        ),
        (
            {f'{PARAMWISE}.bias_lr_mul': 2.0},
            "optim_wrapper.paramwise_cfg has no setting 'bias_lr_mul'; did you mean 'bias_lr_mult'?",
        ),
        (
            {'model.data_preprocessor.type': 'mmfer.FaceDataPreprocessor'},
            'the config has data_preprocessor and model.data_preprocessor, and only the second would be used',
        ),
        (
            {'model.train_cfg.augments.type': 'Mixup'},
            "train_cfg={'augments': {'type': 'Mixup'}} mixes images, whose landmarks cannot be mixed",
        ),
        ({'train_cfg.max_epochs': 0}, 'train_cfg.max_epochs must be a whole number, at least 1, got 0'),
        ({'train_cfg.val_interval': 0}, 'train_cfg.val_interval must be a whole number, at least 1, got 0'),
        ({'train_cfg.val_begin': 2}, 'train_cfg.val_begin=2 lies behind train_cfg.max_epochs=1: no epoch would be'),
        (
            {'optim_wrapper.accumulative_counts': 0},
            'optim_wrapper.accumulative_counts must be a whole number, at least 1, got 0',
        ),
        (
            {'model_wrapper_cfg.type': 'MMFullyShardedDataParallel'},
            "model_wrapper_cfg.type='MMFullyShardedDataParallel' shards the network over the processes, with which "
            'mmfer does not train: its methods copy the network or run it again, and a checkpoint would have the '
            'weights of one process; take model_wrapper_cfg out',
        ),
        (
            {f'{CE}.class_weight.fear': 3, 'optim_wrapper.accumulative_counts': 4},
            'optim_wrapper.accumulative_counts=4: CrossEntropyLoss (model.supervision.cls.losses.ce) divides by the '
            'class weights of the faces in a batch, so that 4 accumulated batches are not the same as one of as many '
            'faces: set optim_wrapper.accumulative_counts=1; where memory is short, train in mixed precision',
        ),
        ({f'{CE}.loss_weight': -1}, 'supervision.cls.losses.ce.loss_weight must be a number, at least 0, got -1'),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else '',
)
def test_a_setting_that_would_do_nothing_is_refused(values, sentence, clone, train_tool, tmp_path, capsys):
    with pytest.raises(SystemExit):
        train_tool.main([CONFIG, '--work-dir', str(tmp_path), *options(SMALL | values)])
    assert sentence in capsys.readouterr().err.splitlines()[-1]


def test_what_is_set_is_used(trained, tmp_path):
    """Class weights by name, a rate of the backbone's own, frozen stages."""
    values = {
        f'{CE}.class_weight.fear': 3,
        f'{CE}.label_smoothing': 0.1,
        'optim_wrapper.paramwise_cfg.custom_keys.backbone.lr_mult': 0.1,
        'optim_wrapper.optimizer.weight_decay': 0.0,
        'model.backbone.frozen_stages': 1,
        'model.backbone.norm_eval': True,
        'auto_scale_lr.base_batch_size': 16,
    }
    runner = trained(CONFIG, SMALL | values)
    loss = runner.model.supervision.methods['cls']['losses']['ce']
    assert loss.class_weight.tolist() == [1, 3, 1, 1, 1, 1, 1]
    rates = {group['initial_lr'] for group in runner.optim_wrapper.param_groups}
    assert sorted(rates) == pytest.approx([1e-4, 1e-3])
    assert not runner.model.backbone.layer1[0].conv1.weight.requires_grad
    assert torch.equal(runner.model.backbone.bn1.running_mean, torch.zeros(8))
    log = ''.join(path.read_text() for path in (tmp_path / 'run').glob('*/*.log'))
    assert "auto_scale_lr={'base_batch_size': 16} does nothing without enable=True" in log


def test_what_a_run_is_too_small_for_is_said_before_it(trained, tmp_path):
    """Too few neighbours in a batch, a relabelling that never begins, a last batch of one face."""
    config = 'configs/combined/scn_pal_lanet_r18_rafdb.py'
    values = tiny(config) | NARROW | {'model.pretrained': None, 'train_dataloader.batch_size': 5}
    trained(config, values | {'train_dataloader.drop_last': False})
    log = ''.join(path.read_text() for path in (tmp_path / 'run').glob('*/*.log'))
    start = log.index('Epoch(train)')
    for sentence in (
        'num_neighbours=8 of LabelDistributionEstimation, but a face has 4 others in its batch of 5 (all processes)',
        'MarginRelabel begins in epoch 10, and the run has 1: no face is relabelled; set a smaller start_epoch',
        'the last batch of an epoch has one face a process, which batch norm (backbone.bn1) normalises by itself, '
        'unlike in evaluation: set train_dataloader.drop_last=True',
    ):
        assert sentence in log[:start]


def test_neighbours_are_needed(clone, train_tool, tmp_path, capsys):
    config = 'configs/lanet/r18_rafdb_96px_12e.py'
    place = 'model.supervision.lanet.refiners.lde.num_neighbours'
    with pytest.raises(SystemExit):
        train_tool.main([config, '--work-dir', str(tmp_path), *options(tiny(config) | NARROW | {place: 0})])
    told = capsys.readouterr().err.splitlines()[-1]
    assert told.startswith(
        'mmfer: error: num_neighbours must be a whole number, at least 1, got 0: a label is estimated'
    )
