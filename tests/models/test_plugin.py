"""The plugin that docs/architecture.md shows, taken from the page and run."""

import re
import sys
from pathlib import Path

import pytest
import torch
from mmengine.registry import MODELS, DefaultScope

import mmfer  # noqa: F401
from mmfer.models.supervision import Supervision
from mmfer.structures import FaceBatch

PAGE = Path(__file__).parents[2] / 'docs/architecture.md'


@pytest.fixture
def acme(tmp_path, monkeypatch):
    """The page's package, importable, and its config."""
    blocks = {}
    for text in re.findall(r'```python\n(.*?)```', PAGE.read_text(), re.DOTALL):
        blocks[text.split('\n')[0].removeprefix('# ')] = text
    package = tmp_path / 'acme'
    package.mkdir()
    (package / '__init__.py').touch()
    (package / 'registry.py').write_text(blocks['acme/registry.py'])
    (package / 'losses.py').write_text(blocks['acme/losses.py'])
    monkeypatch.syspath_prepend(tmp_path)
    config: dict = {}
    exec(blocks['the config'], config)
    yield config['model']
    for name in [name for name in sys.modules if name.split('.')[0] == 'acme']:
        del sys.modules[name]
    MODELS._children.pop('acme', None)


def test_the_pages_plugin_trains_without_touching_mmfer(acme):
    torch.manual_seed(0)
    with DefaultScope.overwrite_default_scope('mmpretrain'):
        model = MODELS.build(
            dict(
                type='mmfer.FERClassifier',
                backbone=dict(type='ResNet', depth=18, out_indices=(3,), style='pytorch'),
                neck=dict(type='GlobalAveragePooling'),
                head=dict(type='LinearClsHead', num_classes=7, in_channels=512),
                **acme,
            )
        )
    assert isinstance(model.supervision, Supervision)
    batch = FaceBatch(label=torch.tensor([0, 1]), sample_idx=torch.tensor([0, 1]))
    losses = model.loss(torch.rand(2, 3, 32, 32), batch)
    assert set(losses) == {'acme.entropy_loss'}
    part = model.supervision.methods['acme']['losses']['entropy']
    assert part.loss_weight == 0.0  # the schedule's value at epoch 0
    part.loss_weight = 1.0
    logits = torch.tensor([[0.0, 0.0], [3.0, 0.0]])
    probs = logits.softmax(1)
    expected = -(probs * probs.log()).sum(1).mean()  # the entropy
    torch.testing.assert_close(part(logits, torch.ones(2)), expected)
