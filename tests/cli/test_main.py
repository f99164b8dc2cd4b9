"""What `mmfer` says and finds; what the commands do is tested in tests/tools."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from mmfer import shipped
from mmfer.cli.main import COMMANDS, GROUPS, main, module_of, overview

ROOT = Path(__file__).parents[2]
TOOLS = {'dataset_tools': 'data', 'analysis_tools': 'analyze', 'model_tools': ''}


def command_of(tool: Path) -> str:
    """'analyze noise-report' of tools/analysis_tools/noise_report.py."""
    group = TOOLS.get(tool.parent.name, '')
    return f'{group} {tool.stem}'.strip().replace('_', '-')


def test_every_file_of_tools_is_a_door_to_a_command():
    tools = sorted(path for path in (ROOT / 'tools').rglob('*.py') if path.name != 'dist_launch.py')  # of dist_*.sh
    assert {command_of(tool) for tool in tools} == set(COMMANDS) - {'configs', 'completion'}
    for tool in tools:
        assert module_of(command_of(tool)).__name__ in tool.read_text()
        assert len(tool.read_text().splitlines()) < 8


@pytest.mark.parametrize('name', COMMANDS)
def test_every_command_has_a_help_of_its_name(name, capsys, monkeypatch):
    monkeypatch.setattr(sys, 'argv', ['mmfer', *name.split(), '--help'])
    with pytest.raises(SystemExit) as stopped:
        main([*name.split(), '--help'])
    assert stopped.value.code == 0
    assert capsys.readouterr().out.startswith(f'usage: mmfer {name} ')


@pytest.mark.parametrize('words', [[], ['-h'], ['--help'], ['help'], ['data'], ['data', '--help'], ['analyze']])
def test_the_overview_has_a_line_for_each_command(words, capsys):
    main(words)
    said = capsys.readouterr().out
    group = next((word for word in words if word in GROUPS), None)
    assert said == overview(group) + '\n'
    shown = [name for name in COMMANDS if group is None or name.startswith(group)]
    assert [line for line in said.splitlines() if line.startswith('  ')] == [
        f'  {name.ljust(max(map(len, shown)) + 2)}{COMMANDS[name]}' for name in shown
    ]
    assert max(map(len, said.splitlines())) <= 120


@pytest.mark.parametrize(
    ('words', 'sentence'),
    [
        (['trian', 'x.py'], 'there is no command `mmfer trian`; did you mean `mmfer train`?'),
        (['data', 'chek'], 'there is no command `mmfer data chek`; did you mean `mmfer data check`?'),
        (['qqq'], 'there is no command `mmfer qqq`; `mmfer --help` lists what there is'),
    ],
)
def test_a_command_that_is_none_gets_the_nearest(words, sentence, capsys):
    with pytest.raises(SystemExit) as stopped:
        main(words)
    assert stopped.value.code == 2
    assert capsys.readouterr().err == f'mmfer: error: {sentence}\n'


def test_a_reader_that_has_seen_enough_is_no_error():
    line = f'{sys.executable} -m mmfer configs | head -1'
    done = subprocess.run(['bash', '-c', line], capture_output=True, text=True, cwd=ROOT)
    assert done.stdout.startswith('arm/')
    assert done.stderr == ''


# --- configs ---


def test_every_config_has_a_line_that_says_what_it_is(capsys):
    main(['configs'])
    *lines, where, base = [line for line in capsys.readouterr().out.splitlines() if line]
    names = [line.split()[0] for line in lines]
    assert names == shipped.shipped_configs()
    assert [line for line in lines if len(line.split(maxsplit=1)) < 2 or len(line) > 165] == []
    assert where.startswith(f'{len(names)} configs in ')
    assert base.startswith("_base_ = 'mmfer::")


def test_words_narrow_the_list(capsys):
    main(['configs', 'scn', 'sym30_40e'])
    names = [line.split()[0] for line in capsys.readouterr().out.splitlines() if line]
    expected = [name for name in shipped.shipped_configs() if 'scn' in name and 'sym30_40e' in name]
    assert names[: len(expected)] == expected
    with pytest.raises(SystemExit):
        main(['configs', 'scnn'])
    assert 'no config has scnn in its name; without a word all are listed' in capsys.readouterr().err


@pytest.mark.parametrize(
    'typed',
    ['lanet/r18_rafdb.py', 'configs/lanet/r18_rafdb.py', 'mmfer::lanet/r18_rafdb.py', Path('lanet/r18_rafdb.py')],
)
def test_a_shipped_config_is_found_from_anywhere(typed, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert shipped.find_config(typed) == ROOT / 'configs/lanet/r18_rafdb.py'


def test_a_file_of_ones_own_comes_first_and_nothing_else_of_the_package_is_found(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / 'lanet').mkdir()
    (tmp_path / 'lanet/r18_rafdb.py').touch()
    assert shipped.find_config('lanet/r18_rafdb.py') == Path('lanet/r18_rafdb.py')
    for typed in ('setup.py', '../setup.py', 'mmfer/__init__.py', 'nowhere.py', str(tmp_path / 'nowhere.py')):
        assert shipped.find_config(typed) == Path(typed)


def test_the_index_lists_every_config_and_no_other():
    index = (ROOT / 'model-index.yml').read_text()
    files = [line.removeprefix('  - ') for line in index.splitlines() if line.startswith('  - ')]
    assert files == [f'configs/{folder.name}/metafile.yml' for folder in sorted((ROOT / 'configs').glob('[!_]*'))]
    listed = [line for file in files for line in (ROOT / file).read_text().splitlines()]
    configs = [line.split('configs/')[1] for line in listed if line.startswith('    Config: ')]
    assert configs == shipped.shipped_configs()
    names = [line for line in listed if line.startswith('  - Name: ')]
    assert len(names) == len(set(names)) == len(configs) + len(files)


# --- completion ---


@pytest.fixture(scope='module')
def script(tmp_path_factory) -> Path:
    file = tmp_path_factory.mktemp('completion') / 'mmfer.sh'
    done = subprocess.run(
        [sys.executable, '-m', 'mmfer', 'completion', 'bash'], capture_output=True, text=True, check=True
    )
    file.write_text(done.stdout)
    return file


@pytest.mark.skipif(shutil.which('bash') is None, reason='needs bash')
@pytest.mark.parametrize(
    ('typed', 'completed'),
    [
        ('mmfer tr', {'train'}),
        ('mmfer data c', {'check'}),
        ('mmfer train --se', {'--seed'}),
        ('mmfer train lanet/r50', {'lanet/r50_rafdb.py'}),
        ('mmfer analyze n', {'noise-report', 'neighbours'}),
    ],
)
def test_tab_completes(typed, completed, script, tmp_path):
    words = ' '.join(f"'{word}'" for word in typed.split(' '))
    at = len(typed.split(' ')) - 1
    asked = f'. {script}; COMP_WORDS=({words}); COMP_CWORD={at}; _shtab_mmfer; echo "${{COMPREPLY[@]}}"'
    done = subprocess.run(['bash', '-c', asked], capture_output=True, text=True, cwd=tmp_path)
    assert set(done.stdout.split()) == completed
