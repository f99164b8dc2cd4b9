"""SNA's two stages as a user types them: the autoencoder first, then the classifier that finds it."""

import pytest
import torch
from e2e.clone import NARROW, options, tiny

FIRST, SECOND = 'configs/sna/autoencoder_synthfaces.py', 'configs/sna/r18_synthfaces.py'
AUTOENCODER = 'supervision.methods.sna.branches.neighbours.autoencoder.'


@pytest.fixture
def home(clone, monkeypatch, tmp_path):
    """A clone whose work_dirs nobody else sees."""
    for name in ('configs', 'tools'):
        (tmp_path / name).symlink_to(clone / name)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_second_stage_finds_the_first_ones_autoencoder_and_leaves_it_as_it_was(home, train_tool, capsys):
    train_tool.main([FIRST, *options(tiny(FIRST))])
    said = capsys.readouterr().out
    end = said[said.rindex('\nmean absolute error ') :].strip().splitlines()
    assert 'grey levels; that of the mean face ' in end[0]
    assert end[1] == (
        'pictures: work_dirs/sna/autoencoder_synthfaces/reconstructions.png  '
        'work_dirs/sna/autoencoder_synthfaces/perturbations.png'
    )
    same = ' '.join(f'{key}={value}' for key, value in tiny(FIRST).items() if '_dataloader.dataset.' in key)
    assert end[2:] == [f'next: python tools/train.py {SECOND} --cfg-options {same}']
    assert all((home / picture).is_file() for picture in end[1].split()[1:])

    values = {key: value for key, value in tiny(SECOND).items() if not key.endswith('.checkpoint')}
    train_tool.main([SECOND, *options(values | NARROW)])
    first = torch.load(home / 'work_dirs/sna/autoencoder_synthfaces/epoch_1.pth', weights_only=True)['state_dict']
    second = torch.load(home / 'work_dirs/sna/r18_synthfaces/epoch_1.pth', weights_only=True)
    inside = {key.removeprefix(AUTOENCODER): value for key, value in second['state_dict'].items() if AUTOENCODER in key}
    assert set(inside) == set(first)
    assert all(torch.equal(value, first[key]) for key, value in inside.items())
    assert first['steps'] == 2
    assert set(second['sample_bank']['columns']) == {'instability', 'reliability'}
    assert second['sample_bank']['columns']['instability'].max() > 0


def test_without_the_first_stage_the_second_says_what_is_missing(home, train_tool, capsys):
    values = {key: value for key, value in tiny(SECOND).items() if not key.endswith('.checkpoint')}
    with pytest.raises(SystemExit) as stopped:
        train_tool.main([SECOND, *options(values | NARROW)])
    assert stopped.value.code == 1
    line = capsys.readouterr().err.strip().splitlines()[-1]
    assert line.startswith(
        'mmfer: error: work_dirs/sna/autoencoder_synthfaces is missing: SNA changes faces with an '
        'autoencoder that is trained first, without labels; make it with python tools/train.py '
        'configs/sna/autoencoder_synthfaces.py, or '
    )
