"""What StepScalarsHook hands over is what MMEngine's own hook does, with one wait a printed line."""

from types import SimpleNamespace

import pytest
import torch
from mmengine.hooks import LoggerHook, RuntimeInfoHook
from mmengine.logging import MessageHub

from mmfer.engine.hooks import StepScalarsHook

STEPS = 7


class Loader(list):
    dataset = SimpleNamespace(metainfo=dict(classes=('a', 'b')))


@pytest.fixture
def runner(request):
    return SimpleNamespace(
        message_hub=MessageHub.get_instance(f'{request.node.name}'),
        hooks=[LoggerHook(interval=3)],
        train_dataloader=Loader(range(STEPS)),
        epoch=0,
        iter=0,
        max_epochs=1,
        max_iters=STEPS,
    )


def outputs(step):
    values = {
        'loss': torch.tensor(0.1 * step),
        'lanet.kl_loss': torch.tensor(step + 0.3, dtype=torch.bfloat16),
        'grad_norm': 0.7 * step,
        'exact': torch.tensor(1 / 3 + step, dtype=torch.float64),
    }
    return values if step % 2 else {**values, 'scn.newly_relabelled': torch.tensor([step])}


def history(hook, runner, hub):
    runner.message_hub = MessageHub.get_instance(hub)
    hook.before_train(runner)
    for step in range(STEPS):
        hook.after_train_iter(runner, step, outputs=outputs(step))
    return {name: scalars.data[0].tolist() for name, scalars in runner.message_hub.log_scalars.items()}


def test_the_message_hub_gets_what_mmengine_gives_it(runner):
    mine, theirs = history(StepScalarsHook(), runner, 'mine'), history(RuntimeInfoHook(), runner, 'theirs')
    assert mine == theirs
    assert len(mine['train/loss']) == STEPS
    assert len(mine['train/scn.newly_relabelled']) == 4


def test_nothing_is_read_between_printed_lines(runner, monkeypatch):
    reads = []
    for name in ('item', 'tolist', '__float__'):
        read = getattr(torch.Tensor, name)
        monkeypatch.setattr(torch.Tensor, name, lambda tensor, read=read: (reads.append(step), read(tensor))[1])
    hook = StepScalarsHook()
    hook.before_train(runner)
    for step in range(STEPS):
        hook.after_train_iter(runner, step, outputs=outputs(step))
    assert reads == [2, 5, 6]  # the logger's interval of 3, and the last step of the epoch


def test_a_tensor_that_its_owner_goes_on_writing_to_is_handed_over_as_it_was(runner):
    hook, margin = StepScalarsHook(), torch.tensor(1.0, dtype=torch.float64)
    hook.before_train(runner)
    for step in range(3):
        hook.after_train_iter(runner, step, outputs={'margin': margin})
        margin += 1
    assert runner.message_hub.get_scalar('train/margin').data[0].tolist() == [1, 2, 3]
