"""Every method's losses and gradients are those of the golden file, which was written before the code moved."""

import json

import pytest
from golden_steps import CONFIGS, FILE, STEPS, machine, steps_of

GOLDEN = json.loads(FILE.read_text())
# Another CPU or torch adds in another order, and an untrained network with a high learning rate doubles such a
# difference at each step (measured with AVX2 for AVX512): there the first steps alone say something.
ELSEWHERE = (1e-3, 1e-2)


@pytest.mark.parametrize('config', CONFIGS)
def test_twenty_steps_are_what_they_were(config, tmp_path):
    golden, steps = GOLDEN['runs'][config], steps_of(config, tmp_path)
    assert len(golden) == STEPS
    assert [list(step) for step in steps] == [list(step) for step in golden]
    if machine() == GOLDEN['machine']:
        assert steps == golden
    for step, before, tolerance in zip(steps, golden, ELSEWHERE, strict=False):
        expected = {name: float.fromhex(value) for name, value in before.items()}
        assert {name: float.fromhex(value) for name, value in step.items()} == pytest.approx(
            expected, rel=tolerance, abs=1e-4
        )


@pytest.mark.parametrize('config', CONFIGS)
def test_every_term_acts_within_the_steps_that_are_compared(config):
    steps = GOLDEN['runs'][config]
    for name in steps[-1]:
        assert any(float.fromhex(step.get(name, '0x0p0')) != 0 for step in steps), name
