"""docs/reliability.md says what happens with a checkpoint: a row for each test here and a test for each row there."""

import re
import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from mmfer.apis import FacePredictor

ROOT = Path(__file__).parents[2]
CONFIG = 'configs/lanet/r18_rafdb_96px_12e.py'


def promised() -> dict[str, str]:
    """The sentences of the page by what is wrong."""
    page = (ROOT / 'docs/reliability.md').read_text().partition('# With a checkpoint')[2].partition('\n# ')[0]
    return dict(re.findall(r'^\| (.+?) \| `(.+?)` \| .+ \|$', page, re.MULTILINE))


@pytest.fixture
def here(run, tmp_path, monkeypatch) -> Path:
    """A folder with a checkpoint, some spoilt ones, the configs and a photo."""
    monkeypatch.chdir(tmp_path)
    for name in ('configs', 'tools'):
        (tmp_path / name).symlink_to(ROOT / name)
    shutil.copy(run.checkpoint, 'epoch_2.pth')
    content = torch.load(run.checkpoint, weights_only=True)
    text, pooling = content['meta']['cfg'], "type='GlobalAveragePooling'"
    assert pooling in text
    for name, cfg in (
        ('old', None),
        ('acme', text.replace(pooling, "type='acme.Pooling'")),
        ('file', text.replace(pooling, f"{pooling}, weights='http://example.org/x.pth'")),
    ):
        torch.save({**content, 'meta': {**content['meta'], 'cfg': cfg}}, f'{name}.pth')
    face = cv2.imread(str(run.faces / 'test_00001_aligned.jpg'))
    cv2.imwrite('photo.png', np.tile(face, (1, 3, 1)))
    return tmp_path


def ways(run, tools) -> dict:
    """What is done wrong, by its name on the page."""
    named, face = [CONFIG, 'epoch_2.pth'], np.zeros((32, 32, 3), np.uint8)
    return {
        'a config of another input size': lambda: tools.test([*named, *run.options, 'data_preprocessor.size=224']),
        'a test set whose classes are in another order': lambda: tools.test(
            [*named, *run.options, 'test_dataloader.dataset.metainfo.classes=affectnet7']
        ),
        'a checkpoint without a config': lambda: tools.test(['old.pth']),
        'a part of another package in a checkpoint': lambda: tools.test(['acme.pth']),
        'a file or address in a checkpoint': lambda: tools.test(['file.pth']),
        'a photo without --align': lambda: tools.predict(['photo.png', '--checkpoint', 'epoch_2.pth']),
        'a face in floats': lambda: FacePredictor(None, 'epoch_2.pth', 'cpu')([face / 255]),
        'one face in place of a list': lambda: FacePredictor(None, 'epoch_2.pth', 'cpu')(face),
    }


def test_every_row_of_the_page_is_tested(run, tools):
    assert list(ways(run, tools)) == list(promised())


@pytest.mark.usefixtures('here')
@pytest.mark.parametrize('wrong', list(promised()))
def test_the_sentence_is_the_pages(wrong, run, tools, capsys):
    with pytest.raises((SystemExit, ValueError)) as stopped:
        ways(run, tools)[wrong]()
    if isinstance(stopped.value, SystemExit):
        assert stopped.value.code == 1
        (line,) = (line for line in capsys.readouterr().err.splitlines() if line.startswith('mmfer: error: '))
        line = line.removeprefix('mmfer: error: ')
    else:
        line = str(stopped.value)
    pattern = '.+'.join(map(re.escape, promised()[wrong].split('…')))
    assert re.fullmatch(pattern, line), line
