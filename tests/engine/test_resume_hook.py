"""What a resumed run may change and what it may not, on a toy network."""

import pytest
import torch
from mmengine.config import Config
from mmengine.registry import DATASETS, MODELS
from mmengine.runner import Runner
from torch import nn

from mmfer.engine.hooks import ResumeHook
from mmfer.engine.resuming import differences, reschedule


@DATASETS.register_module()
class ResumedPoints(torch.utils.data.Dataset):
    metainfo = {}  # noqa: RUF012

    def __len__(self):
        return 12

    def __getitem__(self, i):
        return torch.tensor([float(i), 1.0])


@MODELS.register_module()
class ResumedNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.a, self.b = nn.Linear(2, 1), nn.BatchNorm1d(1)

    def train_step(self, data, optim_wrapper):
        loss = self.b(self.a(torch.stack(data))).square().mean() + self.a.weight.square().sum()
        optim_wrapper.update_params(loss)
        return dict(loss=loss.detach())


def run(folder, *, resume=False, epochs=2, iters=None, batch=4, custom=(), hooks=None, **optim_wrapper) -> Runner:
    scheduler = optim_wrapper.pop(
        'scheduler', dict(type='LinearLR', start_factor=1.0, end_factor=0.0, convert_to_iter_based=iters is None)
    )
    if iters is not None and scheduler['type'] == 'LinearLR':
        scheduler = scheduler | dict(by_epoch=False, end=iters)
    loop = dict(by_epoch=True, max_epochs=epochs) if iters is None else dict(by_epoch=False, max_iters=iters)
    torch.manual_seed(0)
    cfg = dict(
        model=dict(type='ResumedNet'),
        work_dir=str(folder),
        train_dataloader=dict(
            dataset=dict(type='ResumedPoints'),
            sampler=dict(type='DefaultSampler' if iters is None else 'InfiniteSampler', shuffle=True),
            batch_size=batch,
            num_workers=0,
        ),
        train_cfg=loop,
        optim_wrapper=dict(optimizer=dict(type='SGD', lr=0.1, momentum=0.9)) | optim_wrapper,
        param_scheduler=scheduler,
        default_hooks=dict(
            checkpoint=dict(type='CheckpointHook', interval=2 if iters else 1, by_epoch=iters is None, **(hooks or {})),
            resume=dict(type='mmfer.ResumeHook'),
        ),
        custom_hooks=list(custom),
        resume=resume,
        default_scope='mmengine',
        log_level='WARNING',
    )
    runner = Runner.from_cfg(Config(cfg))
    runner.train()
    return runner


def rates(runner: Runner) -> list[float]:
    return runner.message_hub.log_scalars['train/lr'].data[0].tolist()


def test_a_loop_that_counts_iterations_goes_on_at_its_iteration(tmp_path):
    run(tmp_path, iters=4)
    later = run(tmp_path, iters=9, resume=True, batch=3)
    assert rates(later) == pytest.approx(
        [0.1 * (1 - i / 3) for i in range(4)] + [0.1 * (1 - i / 8) for i in range(4, 9)], abs=1e-12
    )
    assert later.iter == 9


def test_a_schedule_that_follows_the_validations_is_resumed_with_its_own_settings_only(tmp_path):
    plateau = dict(type='ReduceOnPlateauLR', monitor='loss')
    run(tmp_path, scheduler=plateau)
    run(tmp_path, scheduler=plateau, resume=True)
    with pytest.raises(ValueError, match='follows the validations.*but train_cfg.max_epochs 2 -> 3'):
        run(tmp_path, scheduler=plateau, resume=True, epochs=3)


def test_other_groups_of_parameters_are_refused(tmp_path):
    run(tmp_path, paramwise_cfg=dict(bypass_duplicate=True))
    with pytest.raises(ValueError, match=r'paramwise_cfg.*resume with optim_wrapper.paramwise_cfg as it was, or begin'):
        run(tmp_path, resume=True, epochs=3)


def test_settings_of_groups_are_the_configs_and_stay_apart(tmp_path):
    slow = dict(custom_keys={'b': dict(lr_mult=0.5)})
    run(tmp_path, paramwise_cfg=slow)
    later = run(tmp_path, paramwise_cfg=slow, resume=True, epochs=4, optimizer=dict(type='SGD', lr=0.2, momentum=0.5))
    groups = later.optim_wrapper.param_groups
    assert {group['momentum'] for group in groups} == {0.5}
    assert sorted({group['initial_lr'] for group in groups}) == [0.1, 0.2]
    assert rates(later)[6:] == pytest.approx([0.2 * (1 - i / 11) for i in range(6, 12)], abs=1e-12)


def test_weights_that_were_averaged_are_not_resumed_as_if_they_were_not(tmp_path):
    run(tmp_path, custom=[dict(type='EMAHook')])
    run(tmp_path, custom=[dict(type='EMAHook')], resume=True)
    with pytest.raises(ValueError, match='averaged its weights: resume it with the same EMAHook, or begin anew'):
        run(tmp_path, resume=True)


def test_what_is_saved_is_plain(tmp_path):
    run(tmp_path)
    saved = torch.load(tmp_path / 'epoch_2.pth', weights_only=True)[ResumeHook.KEY]
    assert saved['optimizer'] == 'SGD'
    assert saved['settings']['optim_wrapper.optimizer.momentum'] == 0.9
    assert saved['settings']['iterations of an epoch'] == 3
    assert all(isinstance(value, bool | int | float | str) for value in saved['settings'].values())


def test_a_run_that_is_over_trains_nothing_more(tmp_path):
    done = run(tmp_path)
    again = run(tmp_path, resume=True)
    assert again.iter == done.iter == 6
    assert torch.equal(again.model.a.weight, done.model.a.weight)


def test_a_checkpoint_that_names_a_config_runs_nothing(tmp_path):
    """MMEngine runs meta.config of a checkpoint, which may come from others."""
    run(tmp_path)
    checkpoint = torch.load(tmp_path / 'epoch_2.pth', weights_only=True)
    checkpoint['meta']['config'] = f"open({str(tmp_path / 'ran')!r}, 'w')"
    torch.save(checkpoint, tmp_path / 'epoch_2.pth')
    run(tmp_path, resume=True, epochs=3)
    assert not (tmp_path / 'ran').exists()
    assert (tmp_path / 'epoch_3.pth').exists()


def test_several_optimizers_keep_their_settings():
    class Runs:
        optim_wrapper, param_schedulers = object(), {}

    with pytest.raises(ValueError, match='several optimizers is resumed with its own settings only, but lr 1 -> 2'):
        reschedule(Runs(), {}, differences({'lr': 1, 'same': 3}, {'lr': 2, 'same': 3}))
