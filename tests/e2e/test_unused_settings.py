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
