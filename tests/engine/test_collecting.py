"""Two processes gather their results in the work folder; the current one, which may be read-only, stays clean."""

import os
import subprocess
import sys
from types import SimpleNamespace

import pytest
from e2e.clone import ROOT

from mmfer.engine.collecting import collect_in
from mmfer.evaluation import FERMetric, ReconstructionMetric

RANK = """
import sys

import torch
from mmengine.evaluator import Evaluator
from mmpretrain.evaluation import Accuracy

from mmfer.engine.collecting import collect_in
from mmfer.evaluation import FERMetric

rank, folder = int(sys.argv[1]), sys.argv[2]
torch.distributed.init_process_group('gloo', init_method=f'file://{folder}/store', rank=rank, world_size=2)
evaluator = Evaluator([FERMetric(), Accuracy()])
evaluator.dataset_meta = dict(classes=['a', 'b'])
collect_in(evaluator, f'{folder}/run')
for _ in range(3):
    score = torch.tensor([0.75, 0.25])
    faces = [dict(sample_idx=i, gt_label=torch.tensor([i % 2]), pred_score=score) for i in range(rank, 6, 2)]
    evaluator.process([dict(face, pred_label=torch.tensor([0])) for face in faces])
    figures = evaluator.evaluate(6)
    assert figures['accuracy'] == figures['accuracy/top1'] == 50, figures
torch.distributed.destroy_process_group()
"""


def test_the_current_folder_stays_clean(tmp_path):
    here = tmp_path / 'here'
    here.mkdir(mode=0o555)
    environment = os.environ | dict(PYTHONPATH=str(ROOT))
    command = [sys.executable, '-c', RANK]
    ranks = [subprocess.Popen([*command, str(rank), str(tmp_path)], cwd=here, env=environment) for rank in (0, 1)]
    assert [rank.wait(timeout=120) for rank in ranks] == [0, 0]
    assert not list(here.iterdir())
    assert not list((tmp_path / 'run').iterdir())


@pytest.mark.parametrize(
    ('metric', 'folder'),
    [
        (FERMetric(), 'run/.dist_test'),
        (ReconstructionMetric(), 'run/.dist_test'),
        (FERMetric(collect_dir='mine'), 'mine'),
        (FERMetric(collect_device='gpu'), None),
    ],
)
def test_what_the_config_says_stays(metric, folder):
    collect_in(SimpleNamespace(metrics=[metric]), 'run')
    assert metric.collect_dir == folder
