"""What is remembered lies on the device, and is what a CPU remembers."""

import pytest
import torch
from tiny import lanet_classifier
from torch.testing import assert_close

from mmfer.structures import Column, SampleBank

IDX = torch.tensor([5, 2, 5, 0, 2, 9, 5])
ROWS = {
    'number': torch.tensor([1.0, 2.0, 3.0, 4.0, torch.nan, 6.0, 8.0]),
    'label': torch.tensor([2, 1, 0, 2, 2, 1, 1]),
    'wide': torch.arange(21.0).reshape(7, 3),
}


def bank_on(device) -> SampleBank:
    bank = SampleBank()
    bank.declare({'number': Column(), 'label': Column(dtype=torch.int64, start='label')}, 'here')
    bank.declare({'wide': Column(('num_classes',), start='one_hot')}, 'there')
    bank.allocate(torch.arange(10, device=device) % 3, 3, 'these faces')
    return bank


def committed(device) -> SampleBank:
    bank = bank_on(device)
    for name, rows in ROWS.items():
        bank.stage(name, IDX.to(device), rows.to(device))
    bank.commit()
    return bank


def test_the_bank_commits_duplicates_and_leaves_out_what_is_no_number(device):
    bank = committed(device)
    assert {value.device.type for value in bank.state_dict()['columns'].values()} == {device}
    number = torch.zeros(10)
    number[[0, 2, 5, 9]] = torch.tensor([4.0, 2.0, 4.0, 6.0])  # 5: the mean of 1, 3, 8; 2: of what is a number
    assert_close(bank.column('number').cpu(), number)
    label = torch.arange(10) % 3
    label[[0, 2, 5, 9]] = torch.tensor([2, 1, 0, 1])  # the smallest
    assert torch.equal(bank.column('label').cpu(), label)
    assert_close(bank.column('wide')[5].cpu(), ROWS['wide'][[0, 2, 6]].mean(0))
    assert bank.seen.nonzero().flatten().tolist() == [0, 2, 5, 9]


def test_what_a_bank_saves_is_what_another_device_goes_on_with(device):
    state = committed('cpu').state_dict()
    bank = bank_on(device)
    bank.load_state_dict(state)
    for name, value in state['columns'].items():
        assert bank.column(name).device.type == device
        assert torch.equal(bank.column(name).cpu(), value)
    assert torch.equal(bank.seen.cpu(), state['seen'])


def test_the_queue_takes_keys_over_the_oldest_ones(device):
    keys = lanet_classifier(queue_size=5).to(device).supervision.methods['lanet']['branches']['keys']
    dim = keys.expression_queue.size(1)
    for step in range(3):  # 9 keys into 5 slots
        rows = torch.arange(3, device=device) + 3 * step
        values = rows[:, None].float().expand(-1, dim)
        keys.finish(values, -values, rows)
    assert keys.queue_label.tolist() == [5, 6, 7, 8, 4]
    assert keys.expression_queue[:, 0].tolist() == [5, 6, 7, 8, 4]
    assert keys.landmark_queue[:, -1].tolist() == [-5, -6, -7, -8, -4]
    assert keys.position.device.type == device
    assert keys.position.item() == 4


def test_more_keys_than_slots_leave_the_newest(device):
    keys = lanet_classifier(queue_size=4).to(device).supervision.methods['lanet']['branches']['keys']
    rows = torch.arange(6, device=device)
    values = rows[:, None].float().expand(-1, keys.expression_queue.size(1))
    keys.finish(values, values, rows)
    assert sorted(keys.queue_label.tolist()) == pytest.approx([2, 3, 4, 5])
