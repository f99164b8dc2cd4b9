"""Numbers of steps are read together, and are the same."""

import torch

from mmfer.engine.hooks import ProtocolHook
from mmfer.engine.hooks import protocol as protocol_module
from mmfer.engine.step_numbers import as_numbers


def test_tensors_and_numbers_become_numbers_in_their_order():
    third = torch.tensor(1 / 3)
    assert as_numbers([1, third, 2.5, third.half(), torch.tensor([7])]) == [
        1.0,
        float(third),
        2.5,
        float(third.half()),
        7.0,
    ]
    assert as_numbers([]) == []


def test_an_epoch_of_many_steps_keeps_no_tensors_but_the_last(monkeypatch):
    monkeypatch.setattr(protocol_module, '_READ_AT_ONCE', 3)
    hook, values = ProtocolHook(), torch.rand(8)
    for value in values:
        hook.after_train_iter(None, 0, outputs=dict(loss=value, lr=0.5, more=torch.ones(2)))
    kept = hook._steps['loss']
    assert [torch.is_tensor(value) for value in kept] == [False] * 6 + [True] * 2
    assert as_numbers(kept) == values.tolist()
    assert hook._steps.keys() == {'loss', 'lr'}
