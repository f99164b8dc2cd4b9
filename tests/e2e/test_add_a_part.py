"""docs/add_a_part.md is followed to the letter: its files are written and its commands typed, in the page's order."""

import json
import os
import re
import stat
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from e2e.clone import ROOT

PAGE = ROOT / 'docs' / 'add_a_part.md'
BLOCK = re.compile(r'^```(\w+)\n(.*?)^```$', re.DOTALL | re.MULTILINE)


@pytest.fixture
def shell(tmp_path, monkeypatch) -> Path:
    """The folder of a newcomer whose clone is ~/mmfer; `python` is this one, and `pip install -e` a path."""
    (tmp_path / 'mmfer').symlink_to(ROOT)
    folder, programs = tmp_path / 'newcomer', tmp_path / 'bin'
    for path in (folder, programs):
        path.mkdir()
    for name, does in (
        ('python', f'exec {sys.executable} "$@"'),
        ('mmfer', f'exec {sys.executable} -m mmfer "$@"'),
        ('pip', '[ "$*" = "install --no-deps -e ." ]'),
    ):
        (programs / name).write_text(f'#!/bin/sh\n{does}\n')
        (programs / name).chmod(stat.S_IRWXU)
    monkeypatch.setenv('PATH', str(programs), prepend=os.pathsep)
    monkeypatch.setenv('HOME', str(tmp_path))
    monkeypatch.setenv('PYTHONPATH', os.pathsep.join([str(folder), str(ROOT)]))
    monkeypatch.setenv('PYTHONDONTWRITEBYTECODE', '1')  # registry.py is written twice, perhaps within a second
    return folder


def follow(page: str, folder: Path) -> tuple[list[str], str]:
    """Writes the files and types the commands; gives the files' names and what was printed."""
    files, printed, session = [], '', ''
    (folder / 'acme').mkdir()
    (folder / 'acme' / '__init__.py').touch()  # which the page says in words
    for language, text in BLOCK.findall(page):
        if language == 'bash':
            session += text  # what one block exports the next one knows
            done = subprocess.run(['bash', '-euc', session], cwd=folder, capture_output=True, text=True)
            assert done.returncode == 0, f'{text}\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}'
            printed += done.stdout
            session = ''.join(line + '\n' for line in session.splitlines() if line.startswith('export '))
        elif language in ('python', 'toml'):
            first, _, rest = text.partition('\n')
            name, _, how = re.fullmatch(r'# ([\w./]+)(, )?(continued)?', first).groups()
            path = folder / name
            path.parent.mkdir(exist_ok=True)
            path.write_text((path.read_text() + '\n\n' + rest) if how else text)
            files.append(name)
        else:
            assert language == 'text'
    return files, printed


def test_every_block_runs(shell):
    files, printed = follow(PAGE.read_text(), shell)
    assert {'acme/losses.py', 'acme/branches.py', 'acme/refiners.py', 'acme/necks.py', 'acme/datasets.py'} < set(files)
    assert printed.count('2 passed') == printed.count('3 passed') == 1
    for name, terms in (('compact', {'compact'}), ('all', {'compact', 'mirror'})):
        report = json.loads((shell / 'work_dirs' / name / 'metrics.json').read_text())
        assert report['faces'] == 64
        (epoch,) = report['epochs']
        assert {f'acme.{term}_loss' for term in terms} | {'cls.ce_loss', 'loss'} <= set(epoch['train'])
        assert all(epoch['train'][f'acme.{term}_loss'] > 0 for term in terms)
    log = next((shell / 'work_dirs' / 'all').glob('*/*.log')).read_text()
    assert re.search(r'acme\.kept: 0\.[78]\d', log)
    checkpoint = torch.load(shell / 'work_dirs' / 'all' / 'epoch_1.pth', weights_only=True)
    assert (checkpoint['sample_bank']['columns']['running_loss'] > 0).sum() > 60
    deployed = torch.load(shell / 'all_deployed.pth', weights_only=True)['state_dict']
    assert {key.split('.')[0] for key in deployed} == {'backbone', 'head'}


def test_the_error_that_the_page_shows_is_what_is_printed(tmp_path, train_tool, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (shown,) = (text for language, text in BLOCK.findall(PAGE.read_text()) if language == 'text')
    config = tmp_path / 'config.py'
    config.write_text(
        f'_base_ = {str(ROOT / "configs/baseline/r18_synthfaces.py")!r}\n'
        'model = dict(supervision=dict(acme=dict(losses=dict(compact=dict(\n'
        "    type='mmfer.CrossEntropyLoss', inputs=dict(logits='embeding'))))))\n"
        'train_dataloader = dict(dataset=dict(num=16, cache_dir=None))\n'
    )
    with pytest.raises(SystemExit):
        train_tool.main([str(config)])
    (printed,) = (line for line in capsys.readouterr().err.splitlines() if line.startswith('mmfer: error: '))
    assert printed.startswith(f'{shown.strip()}; known here are: ')


@pytest.mark.parametrize('link', re.findall(r'\]\(([\w./]+)\)', PAGE.read_text()))
def test_its_links_lead_somewhere(link):
    assert (PAGE.parent / link).exists()
