"""Every part of every method does on the device what it does in float64 on a CPU, where its oracles are tested.

Errors are ||x - expected|| / ||expected||, of all that parts publish, of losses, of all gradients together, of queues
and of the memory per sample. The tolerances, and the most that a CPU was seen to differ by:

- float32: 5e-4; 7e-5 (SNA's loss of an adversarial neighbour, whose direction amplifies), all else below 4e-6.
- bfloat16, of the first step, as later ones start from other weights: 0.1 for values; 0.07 (PAL's attribution, which is
  a gradient), most below 0.01. 0.4 for gradients; 0.21 (SCN).
"""

import sys

import pytest
import torch
from gpu.oracle import error, reference, seen_in_two_steps
from two_ranks import SETTINGS, build

from mmfer.registry import MODELS

FLOAT32, BFLOAT16, BFLOAT16_GRADIENT = 5e-4, 0.1, 0.4
ROOMS = ('losses', 'necks', 'heads', 'supervision.branches', 'supervision.refiners')


@pytest.mark.parametrize('name', SETTINGS)
def test_two_steps_in_float32_are_those_in_float64_on_a_cpu(name, device):
    expected, seen = reference(name), seen_in_two_steps(name, device, torch.float32)
    assert seen.keys() == expected.keys()
    assert {key: e for key in seen if (e := error(seen[key], expected[key])) > FLOAT32} == {}


@pytest.mark.parametrize('name', SETTINGS)
def test_a_step_in_bfloat16_is_near_that_in_float64_on_a_cpu(name, device):
    expected, seen = reference(name), seen_in_two_steps(name, device, torch.float32, amp=True)
    assert all(value.isfinite().all() for value in seen.values())
    first = {key: error(seen[key], expected[key]) for key in expected if key.endswith('of step 0')}
    assert 0 < first.pop('gradient of step 0') < BFLOAT16_GRADIENT
    assert {key: e for key, e in first.items() if e > BFLOAT16} == {}
    assert first['logits of step 0'] > 1e-4  # else nothing ran in bfloat16


def test_every_registered_part_takes_part_in_these_steps():
    rooms = tuple(f'mmfer.models.{room}.' for room in ROOMS)
    registered = {cls for cls in MODELS.module_dict.values() if cls.__module__.startswith(rooms)}
    assert len(registered) > 12
    used = {type(module) for setting in SETTINGS.values() for module in build(setting).modules()}
    assert {cls.__name__ for cls in registered - used} == set()


def test_what_is_wrong_in_a_single_part_is_seen(monkeypatch):
    module = sys.modules['mmfer.models.losses.privileged_attribution']
    formula = module.privileged_attribution
    expected = reference('pal')
    monkeypatch.setattr(module, 'privileged_attribution', lambda *args: 1.001 * formula(*args))
    seen = seen_in_two_steps('pal', 'cpu', torch.float32)
    assert error(seen['pal.pal_loss of step 0'], expected['pal.pal_loss of step 0']) > FLOAT32
