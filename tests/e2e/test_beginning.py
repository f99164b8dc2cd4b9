"""What a training begins with: the newest checkpoint that reads whole, another that is named, or nothing, if asked."""

import shutil

import pytest
from e2e.clone import NARROW, tiny
from e2e.resumed import SMALL, content, differences

CONFIG = 'configs/baseline/r18_rafdb_96px_12e.py'
VALUES = tiny(CONFIG) | SMALL | NARROW | {'train_cfg.max_epochs': 2}
del VALUES['default_hooks.checkpoint.max_keep_ckpts']
RUN = {}


@pytest.fixture
def whole(command, tmp_path_factory, tmp_path, capsys):
    """A copy of the folder of a run of two epochs."""
    if not RUN:
        RUN['folder'] = tmp_path_factory.mktemp('whole') / 'run'
        command(RUN['folder'], config=CONFIG, values=VALUES)
        capsys.readouterr()
    return shutil.copytree(RUN['folder'], tmp_path / 'run')


@pytest.fixture
def said(command, capsys):
    """Runs a command and gives what it said; a refusal is its last line."""

    def run(folder, *more, **values):
        code = 0
        try:
            command(folder, *more, config=CONFIG, values=VALUES | values)
        except SystemExit as end:
            code = end.code
        out, err = capsys.readouterr()
        return code, ' '.join((out + err).split())

    return run


def names(folder) -> list[str]:
    return sorted(path.name for path in folder.glob('*.pth'))


@pytest.mark.parametrize('pointer', [None, '', 'gone/epoch_9.pth', 'another folder'])
def test_whatever_the_pointer_says_the_newest_of_the_folder_is_taken(pointer, whole, said, tmp_path):
    if pointer is None:
        (whole / 'last_checkpoint').unlink()
    else:
        (whole / 'last_checkpoint').write_text(pointer.replace('another folder', f'{RUN["folder"]}/epoch_1.pth'))
    code, text = said(whole, '--resume', **{'train_cfg.max_epochs': 3})
    assert code == 0
    assert f'resumed from {whole}/epoch_2.pth, the newest there (epoch 2)' in text
    assert f'goes on from {whole}/epoch_2.pth' in text
    assert names(whole) == ['epoch_2.pth', 'epoch_3.pth']
    assert names(RUN['folder']) == ['epoch_1.pth', 'epoch_2.pth']


def test_a_damaged_one_is_passed_over_with_a_word_and_the_run_ends_as_it_would_have(whole, said):
    whole_end = content(whole / 'epoch_2.pth')
    data = bytearray((whole / 'epoch_2.pth').read_bytes())
    data[len(data) // 3] ^= 1
    (whole / 'epoch_2.pth').write_bytes(data)
    (whole / 'epoch_3.pth.part').write_bytes(data[:100])
    code, text = said(whole, '--resume')
    assert code == 0
    assert f'{whole}/epoch_2.pth is damaged (its contents are not those that its seal is of)' in text
    assert f'resumed from {whole}/epoch_1.pth, the newest that reads whole (epoch 1)' in text
    assert differences(content(whole / 'epoch_2.pth'), whole_end) == []
    assert not (whole / 'epoch_3.pth.part').exists()


def test_nothing_to_go_on_from_is_refused_unless_beginning_anew_is_asked_for(said, tmp_path):
    code, text = said(tmp_path / 'new', '--resume')
    assert code == 1
    assert text[text.rindex('mmfer: error:') :] == (
        f'mmfer: error: {tmp_path}/new has no checkpoint to go on from: begin anew without --resume, or, for jobs that '
        'are started again and again, say --resume auto'
    )
    code, text = said(tmp_path / 'new', '--resume', 'auto')
    assert code == 0
    assert f'{tmp_path}/new has no checkpoint: the run begins anew' in text
    assert names(tmp_path / 'new') == ['epoch_1.pth', 'epoch_2.pth']


def test_only_damaged_ones_are_nothing_to_go_on_from(whole, said):
    for path in whole.glob('*.pth'):
        path.write_bytes(path.read_bytes()[:-10])
    code, text = said(whole, '--resume')
    assert code == 1
    assert (
        f'{whole} has no checkpoint that reads whole to go on from: begin anew' in text[text.rindex('mmfer: error:') :]
    )
    assert text.count(' is damaged (its end is missing or damaged)') == 2


def test_a_damaged_one_that_is_named_names_a_whole_one(whole, said):
    (whole / 'epoch_2.pth').write_bytes((whole / 'epoch_2.pth').read_bytes()[:-10])
    code, text = said(whole, '--resume', str(whole / 'epoch_2.pth'))
    assert code == 1
    line = text[text.rindex('mmfer: error:') :]
    assert line.startswith(f'mmfer: error: {whole}/epoch_2.pth cannot be read as a checkpoint of plain values (')
    assert line.endswith(f'it is damaged, or no checkpoint of mmfer; take {whole}/epoch_1.pth, which reads whole')


def test_a_new_run_sets_those_of_the_run_before_aside_and_goes_on_from_its_own(whole, said):
    code, text = said(whole, **{'train_cfg.max_epochs': 1})
    assert code == 0
    assert f'epoch_1.pth, epoch_2.pth, of another run: now in {whole}/earlier, until that is needed again' in text
    assert names(whole) == ['epoch_1.pth']
    assert names(whole / 'earlier') == ['epoch_1.pth', 'epoch_2.pth']
    code, text = said(whole, '--resume')
    assert f'resumed from {whole}/epoch_1.pth, the newest there (epoch 1)' in text


def test_going_on_from_an_earlier_one_sets_the_later_ones_aside(whole, said):
    code, text = said(whole, '--resume', str(whole / 'epoch_1.pth'), **{'train_cfg.max_epochs': 1})
    assert code == 0
    assert 'epoch_2.pth, beyond where this run goes on: now in' in text
    assert names(whole) == ['epoch_1.pth']


def test_weights_in_the_folder_itself_are_found_where_they_were_put(whole, said):
    code, text = said(whole, **{'load_from': f'{whole}/epoch_2.pth', 'train_cfg.max_epochs': 1})
    assert code == 0
    assert f'Load checkpoint from {whole}/earlier/epoch_2.pth' in text


def test_a_mistake_moves_nothing(whole, said):
    code, _ = said(whole, **{'train_dataloader.batch_size': 64, 'train_dataloader.drop_last': True})
    assert code == 1
    assert names(whole) == ['epoch_1.pth', 'epoch_2.pth']
