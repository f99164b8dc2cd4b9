"""Configs of yaml and json, which look like data and run code, are refused before they are opened."""

from pathlib import Path

import pytest
from mmengine.config import Config

from mmfer.apis import read_config

EVIL = "model: !!python/object/apply:os.system ['touch evil']"


@pytest.fixture(autouse=True)
def _here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def test_the_code_would_have_run():
    Path('c.yaml').write_text(EVIL)
    Config.fromfile('c.yaml')
    assert Path('evil').exists()


@pytest.mark.parametrize('name', ['c.yaml', 'c.yml', 'c.json', 'c.YAML', 'c.txt', 'c'])
def test_a_config_that_is_no_python(name):
    Path(name).write_text(EVIL)
    with pytest.raises(ValueError, match=rf'^{name} is not read as a config: .*; write it as Python, in c\.py$'):
        read_config(name)
    assert not Path('evil').exists()


@pytest.mark.parametrize('base', ["'c.yaml'", "['ok.py', 'c.yml']", "'c.json'"])
def test_a_base_that_is_no_python(base):
    for name in ('c.yaml', 'c.yml', 'c.json'):
        Path(name).write_text(EVIL)
    Path('ok.py').write_text('a = 1')
    Path('mine.py').write_text(f'_base_ = {base}')
    with pytest.raises(ValueError, match=r'^c\.\w+, which .*mine\.py builds on, is not read as a config'):
        read_config('mine.py')
    assert not Path('evil').exists()
