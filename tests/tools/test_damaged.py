"""A checkpoint that is cut off or has another bit is recognised by every tool; none ends in a traceback."""

import os
import random
import shutil
from itertools import islice

import pytest
from tools.conftest import load_tool

from mmfer.apis.checkpoints.checkpoint_file import read_checkpoint
from mmfer.structures.newest_checkpoint import newest_checkpoint
from mmfer.structures.tensor_file import read_tensor_file, save_sealed

CUTS, FLIPS = (int(os.environ.get('MMFER_DAMAGES', 1)) * number for number in (10, 40))
ANALYSES = ('neighbours', 'noise_report', 'relabels', 'importance')


def spoilt(data: bytes):
    """The same file, cut off at ten places, and with one of forty bits flipped; a name for each."""
    draw = random.Random(0)
    for i in range(CUTS):
        size = draw.randrange(len(data)) if i else len(data) - 1
        yield f'cut to {size}', data[:size]
    for _ in range(FLIPS):
        place, bit = draw.randrange(len(data)), draw.randrange(8)
        yield f'bit {bit} of {place}', data[:place] + bytes([data[place] ^ 1 << bit]) + data[place + 1 :]


@pytest.fixture
def folder(run, tmp_path):
    """A work folder with two checkpoints, of which the newest can be spoilt."""
    shutil.copy(run.folder / 'epoch_1.pth', tmp_path)
    shutil.copy(run.checkpoint, tmp_path)
    return tmp_path


@pytest.fixture
def light(folder):
    """The same with the first ten weights and nothing of the optimizer: files are unpickled once for each damage."""
    for path in folder.glob('*.pth'):
        content = read_tensor_file(path)
        content['state_dict'] = dict(islice(content['state_dict'].items(), 10))
        del content['optimizer']
        with path.open('wb') as stream:
            save_sealed(stream, content)
    return folder


def test_every_cut_and_every_flipped_bit_is_recognised_and_the_one_before_is_taken(light):
    newest, before = light / 'epoch_2.pth', light / 'epoch_1.pth'
    assert newest_checkpoint(light).newest == newest
    unseen = []
    for i, (name, data) in enumerate(spoilt(newest.read_bytes())):
        newest.write_bytes(data)
        found = newest_checkpoint(light)
        if found.newest != before or len(found.damaged) != 1 or str(newest) not in found.damaged[0]:
            unseen.append(name)
        if i % 10:
            continue  # the same look at the file
        try:
            read_checkpoint(newest)
            unseen.append(name)
        except ValueError as error:
            if f'take {before}, which reads whole' not in str(error):
                unseen.append(name)
    assert unseen == []


@pytest.mark.parametrize('how', ['cut', 'flip'])
def test_every_tool_refuses_it_with_one_sentence(how, run, tools, stops, folder):
    bad, data = folder / 'epoch_2.pth', (folder / 'epoch_2.pth').read_bytes()
    bad.write_bytes(data[:-1000] if how == 'cut' else data[: len(data) // 2] + b'mmfer' + data[len(data) // 2 + 5 :])
    for main, arguments in (
        (tools.test, [bad]),
        (tools.test, [run.config, bad, *run.options]),
        (tools.predict, [run.faces, '--checkpoint', bad]),
        (tools.export, [bad, folder / 'out.pth']),
        (tools.train, [run.config, '--work-dir', folder / 'new', '--resume', bad, *run.options]),
        (tools.train, [run.config, '--work-dir', folder / 'new', *run.options, f'load_from={bad}']),
        *((load_tool(f'analysis_tools/{name}').main, [run.config, bad, *run.options]) for name in ANALYSES),
    ):
        line = stops(main, arguments)
        assert f'{bad} cannot be read as a checkpoint of plain values (' in line
        assert line.endswith(f'it is damaged, or no checkpoint of mmfer; take {folder}/epoch_1.pth, which reads whole')
