"""A run whose losses or weights are no numbers any more ends at once, and its last good checkpoint stays."""

from types import SimpleNamespace

import pytest
import torch
from e2e.clone import tiny
from e2e.resumed import CONFIG, NARROW, SMALL
from mmengine.hooks import CheckpointHook, Hook

from mmfer.engine.hooks import FiniteHook
from mmfer.registry import HOOKS
from mmfer.structures.tensor_file import read_tensor_file


@HOOKS.register_module()
class Spoiling(Hook):
    """Makes a weight NaN in front of an iteration, or behind the last of an epoch."""

    WHEN, AT = 'before_train_iter', 4

    def before_train_iter(self, runner, batch_idx, data_batch=None):
        self._spoil(runner, 'before_train_iter')

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        self._spoil(runner, 'after_train_iter')

    def _spoil(self, runner, now):
        if (now, runner.iter) == (self.WHEN, self.AT):
            with torch.no_grad():
                next(runner.model.backbone.parameters())[0] = float('nan')


def runner(scaler=None, last=None):
    saving = CheckpointHook(1)
    saving.last_ckpt = last
    return SimpleNamespace(
        epoch=0,
        iter=0,
        optim_wrapper=SimpleNamespace(loss_scaler=scaler),
        hooks=[saving],
        logger=SimpleNamespace(info=lambda *_, **__: None),
    )


def step(hook, run, **losses):
    hook.after_train_iter(run, 0, outputs={name: torch.tensor(value) for name, value in losses.items()})
    run.iter += 1


@pytest.mark.parametrize(('when', 'at', 'kept'), [('before_train_iter', 4, 1), ('after_train_iter', 5, 1)])
def test_a_run_that_turns_nan_ends_with_the_term_and_the_faces(
    when, at, kept, command, clone, monkeypatch, capsys, tmp_path
):
    monkeypatch.setattr(Spoiling, 'WHEN', when)
    monkeypatch.setattr(Spoiling, 'AT', at)
    values = tiny(CONFIG) | SMALL | NARROW | {'custom_hooks': '[dict(type=mmfer.Spoiling)]'}
    with pytest.raises(SystemExit) as end:
        command(tmp_path, values=values)
    assert end.value.code == 1
    line = capsys.readouterr().err.strip().splitlines()[-1]
    if when == 'before_train_iter':
        assert line.startswith('mmfer: error: cls.ce_loss is nan and lanet.heatmap_loss is nan and ')
        assert ' in epoch 2, iteration 5; its faces are data/raf-db/basic/Image/aligned/train_000' in line
        log = next(tmp_path.glob('*/*.log')).read_text()
        faces = next(text for text in log.splitlines() if 'the faces of iteration 5: ' in text)
        assert faces.count('_aligned.jpg') == 6
    else:
        assert line.startswith(
            'mmfer: error: state_dict.backbone.conv1.weight holds numbers that are NaN or infinite behind iteration 6, '
            'so no checkpoint is written: lower optim_wrapper.optimizer.lr'
        )
    assert line.endswith(f'the last good checkpoint is {tmp_path}/epoch_1.pth')
    assert [path.name for path in tmp_path.glob('*.pth')] == [f'epoch_{kept}.pth']
    state = read_tensor_file(tmp_path / 'epoch_1.pth')['state_dict']
    assert all(value.isfinite().all() for value in state.values() if value.is_floating_point())


def test_only_losses_count_and_the_sum_is_named_where_no_term_is():
    hook, run = FiniteHook(), runner()
    step(hook, run, loss=1.0, **{'scn.importance_low': float('nan')})
    says = r'^loss is inf in epoch 1, iteration 2: lower .*; no checkpoint was written yet$'
    with pytest.raises(ValueError, match=says):
        step(hook, run, **{'loss': float('inf'), 'cls.ce_loss': 3e38})


def test_a_scaler_may_overflow_some_times_in_a_row():
    hook, run = FiniteHook(), runner(scaler=object(), last='epoch_7.pth')
    for _ in range(3):
        for _ in range(hook.OVERFLOWS - 1):
            step(hook, run, loss=float('nan'))
        step(hook, run, loss=1.0)
    for _ in range(hook.OVERFLOWS - 1):
        step(hook, run, loss=float('nan'))
    with pytest.raises(ValueError, match=r'loss is nan .* iteration 80: .*the last good checkpoint is epoch_7.pth'):
        step(hook, run, loss=float('nan'))


@pytest.mark.parametrize(
    ('held', 'name'),
    [
        (
            dict(optimizer=dict(state={0: dict(exp_avg=[torch.tensor([1.0, float('inf')])])})),
            'optimizer.state.0.exp_avg.0',
        ),
        (dict(ema_state_dict={'module.a': torch.tensor(float('nan'))}), 'ema_state_dict.module.a'),
    ],
)
def test_optimizer_and_averages_are_looked_at_too(held, name):
    with pytest.raises(ValueError, match=f'^{name} holds numbers that are NaN or infinite'):
        FiniteHook().before_save_checkpoint(runner(), dict(state_dict={}, **held))
    FiniteHook().before_save_checkpoint(
        runner(), dict(state_dict=dict(count=torch.tensor(3)), other=torch.tensor(float('nan')))
    )
