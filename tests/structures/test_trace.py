"""The Trace in one process; test_two_ranks has it on two."""

import pytest
import torch
from torch.testing import assert_close

from mmfer.structures import REFINABLE, SHARED, VOCABULARY, Trace

ROWS = {'label': torch.tensor([2, 0, 1]), 'target': torch.tensor([2, 0, 1]), 'weight': torch.ones(3)}


def make_trace(**values):
    return Trace({**ROWS, **values}, {'epoch': 3, 'max_epochs': 10})


def test_in_one_process_the_whole_batch_is_the_local_one():
    logits = torch.randn(3, 4, requires_grad=True)
    trace = make_trace()
    trace.publish({'logits': logits}, whole=False)
    assert trace.local('logits') is logits
    assert trace.whole('logits') is logits
    assert trace.whole('label') is ROWS['label']


@pytest.mark.parametrize('dtype', [torch.float16, torch.bfloat16])
def test_half_precision_becomes_full_for_the_whole_batch_and_the_gradient_comes_back(dtype):
    # Even numbers: exact in both, and above the largest float16 once multiplied by 4.
    values = torch.tensor([[30000.0, 2.0], [4.0, -6.0], [8.0, 0.5]], dtype=dtype, requires_grad=True)
    trace = make_trace()
    trace.publish({'embedding': values}, whole=False)
    whole = trace.whole('embedding')
    assert trace.local('embedding').dtype == dtype
    assert whole.dtype == torch.float32
    assert torch.isfinite(whole * 4).all()
    (whole * torch.tensor([1.0, 2.0])).sum().backward()
    assert values.grad.dtype == dtype
    assert values.grad.tolist() == [[1, 2]] * 3


@pytest.mark.parametrize('dtype', [torch.float64, torch.float32, torch.int64, torch.bool])
def test_other_types_stay_as_they_are(dtype):
    values = torch.tensor([0, 1, 1]).to(dtype)
    assert make_trace(x=values).whole('x').dtype == dtype


def test_the_whole_batch_is_made_once():
    trace = make_trace(embedding=torch.randn(3, 2).half())
    assert trace.whole('embedding') is trace.whole('embedding')


def test_a_refined_target_replaces_the_old_one_everywhere():
    trace = make_trace()
    assert trace.whole('target').tolist() == [2, 0, 1]  # has been read before
    refined = torch.softmax(torch.randn(3, 4), 1)
    trace.publish({'target': refined}, whole=True)
    assert trace.whole('target') is refined
    assert_close(trace.local('target'), refined, rtol=0, atol=0)
    trace.publish({'target': torch.tensor([1, 1, 1])}, whole=True)  # and again
    assert trace.local('target').tolist() == trace.whole('target').tolist() == [1, 1, 1]
    assert trace.whole('label').tolist() == [2, 0, 1]


def test_shared_values_are_the_same_seen_from_both_sides():
    queue = torch.randn(7, 2).half()
    trace = make_trace()
    trace.publish({'queue': queue, 'key': torch.randn(3, 2)}, whole=False, shared=('queue', 'queue_label'))
    assert trace.whole('queue') is trace.local('queue') is queue  # no rows: neither gathered nor converted
    assert trace.whole('epoch') == trace.local('epoch') == 3


def test_it_knows_what_it_holds():
    trace = make_trace()
    trace.publish({'distribution': torch.rand(3, 2)}, whole=True)
    assert all(name in trace for name in ('label', 'epoch', 'distribution'))
    assert 'logits' not in trace
    for read in (trace.local, trace.whole):
        with pytest.raises(KeyError, match='logits'):
            read('logits')


def test_the_sets_of_names_are_part_of_the_vocabulary():
    assert set(VOCABULARY) >= SHARED
    assert set(VOCABULARY) >= REFINABLE
    assert not SHARED & REFINABLE
    # DESIGN.md, section 2.
    assert set(VOCABULARY) >= {
        'inputs',
        'logits',
        'embedding',
        'label',
        'target',
        'weight',
        'landmarks',
        'landmark_valid',
        'sample_idx',
        'epoch',
        'max_epochs',
    }
