"""A sample of benchmarks/kills.py: trainings that are killed lose nothing, in one process and in two."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from mmengine.device import get_device

ROOT = Path(__file__).parents[2]


@pytest.mark.skipif(get_device() != 'cpu', reason='GPUs do not add in a fixed order')
@pytest.mark.parametrize(('name', 'processes', 'kills', 'writes'), [('all five', 1, 1, 1), ('LA-Net', 2, 1, 0)])
def test_killed_trainings_end_bit_for_bit_as_those_that_are_left_alone(name, processes, kills, writes, tmp_path):
    out = tmp_path / 'kills.json'
    words = ['--out', out, '--kills', kills, '--writes', writes, '--names', name, '--processes', processes]
    done = subprocess.run(
        [sys.executable, ROOT / 'benchmarks/kills.py', *map(str, words)], capture_output=True, text=True, cwd=ROOT
    )
    assert done.returncode == 0, done.stdout + done.stderr
    results = json.loads(out.read_text()).values()
    assert sum(one['kills'] for one in results) == kills + writes
    assert all(one['lost'] == 0 and one['equal'] == one['chains'] > 0 for one in results if one['kills'])
