import io
import itertools
import os

import pytest
import torch
from torch import nn
from torch.testing import assert_close

from mmfer.structures import Column, SampleBank

LABELS = torch.tensor([1, 0, 2, 2, 1])
COLUMNS = {
    'distribution': Column(('num_classes',), start='one_hot'),
    'relabelled': Column(dtype=torch.int64, start='label'),
    'instability': Column(start=0.5),
    'history': Column((2, 'num_classes'), start=-1.0),
}


def make_bank(columns=COLUMNS, labels=LABELS, fingerprint='this data', folder=None):
    bank = SampleBank()
    bank.declare(columns, 'supervision.method.refiners.part')
    bank.allocate(labels, 3, fingerprint, folder)
    return bank


def idx(*values):
    return torch.tensor(values)


# --- columns ---


def test_columns_start_as_declared():
    bank = make_bank()
    everyone = torch.arange(5)
    assert bank.columns == ('distribution', 'relabelled', 'instability', 'history')
    assert bank.read('distribution', everyone).tolist() == [[0, 1, 0], [1, 0, 0], [0, 0, 1], [0, 0, 1], [0, 1, 0]]
    assert bank.read('relabelled', everyone).tolist() == LABELS.tolist()
    assert bank.read('instability', everyone).tolist() == [0.5] * 5
    assert_close(bank.read('history', everyone), -torch.ones(5, 2, 3), rtol=0, atol=0)
    dtypes = [bank.read(name, everyone).dtype for name in bank.columns]
    assert dtypes == [torch.float32, torch.int64, torch.float32, torch.float32]


def test_a_column_belongs_to_one_part():
    bank = make_bank()
    with pytest.raises(ValueError, match='supervision.b.refiners.x declares the bank column "instability"'):
        bank.declare({'instability': Column()}, 'supervision.b.refiners.x')


def test_the_labels_that_sized_it_stay_untouched():
    labels = LABELS.clone()
    bank = make_bank(labels=labels)
    bank.stage('relabelled', idx(0), idx(2))
    bank.commit()
    assert labels.tolist() == LABELS.tolist()
    assert bank.read('relabelled', idx(0, 1)).tolist() == [2, 0]


def test_reading_before_it_is_sized_says_what_is_missing():
    bank = SampleBank()
    bank.declare(COLUMNS, 'somewhere')
    with pytest.raises(RuntimeError, match='no rows for "instability" yet: .*"mmfer.SampleBankHook".* default_hooks'):
        bank.read('instability', idx(0))


# --- stage and commit ---


def test_which_samples_were_seen():
    bank = make_bank()
    assert bank.seen.tolist() == [False] * 5
    bank.stage('instability', idx(3, 0, 3), torch.tensor([0.5, 0.75, 0.5]))  # 3 keeps the value it began with
    bank.stage('history', idx(1), torch.full((1, 2, 3), torch.nan))  # a step that went wrong
    bank.commit()
    assert bank.seen.tolist() == [True, False, False, True, False]
    bank.stage('relabelled', idx(4), idx(1))
    bank.commit()
    other = make_bank()
    other.load_state_dict(bank.state_dict())
    assert other.seen.tolist() == [True, False, False, True, True]
    state = bank.state_dict()
    del state['seen']  # of an earlier version: told by the values
    other.load_state_dict(state)
    assert other.seen.tolist() == [True, False, False, False, False]
    assert make_bank().seen.tolist() == [False] * 5


def test_what_is_staged_is_seen_from_the_commit_on():
    bank = make_bank()
    before = bank.read('instability', idx(3, 0))
    bank.stage('instability', idx(3, 0), torch.tensor([0.25, 0.75]))
    assert bank.read('instability', idx(3, 0)).tolist() == [0.5, 0.5]
    assert bank.state_dict()['columns']['instability'].tolist() == [0.5] * 5
    bank.commit()
    assert bank.read('instability', torch.arange(5)).tolist() == [0.75, 0.5, 0.5, 0.25, 0.5]
    assert before.tolist() == [0.5, 0.5]  # a step keeps what it read
    bank.commit()  # nothing is left to be written
    assert bank.read('instability', torch.arange(5)).tolist() == [0.75, 0.5, 0.5, 0.25, 0.5]


def test_columns_are_committed_together_and_a_later_stage_wins():
    bank = make_bank()
    bank.stage('instability', idx(1, 2), torch.tensor([0.1, 0.2]))
    bank.stage('relabelled', idx(1), idx(2))
    bank.stage('instability', idx(2), torch.tensor([0.3]))
    bank.commit()
    assert_close(bank.read('instability', idx(1, 2)), torch.tensor([0.1, 0.3]), rtol=0, atol=0)
    assert bank.read('relabelled', idx(1)).item() == 2


def test_what_is_remembered_has_no_graph_and_the_columns_type():
    bank = make_bank()
    rows = torch.rand(2, 3, dtype=torch.float64, requires_grad=True)
    bank.stage('distribution', idx(4, 1), rows * 1)
    bank.commit()
    seen = bank.read('distribution', idx(4, 1))
    assert seen.dtype == torch.float32
    assert not seen.requires_grad
    assert_close(seen, rows.detach().float(), rtol=0, atol=0)


def test_what_is_no_number_is_not_remembered():
    bank = make_bank()
    history = bank.read('history', idx(0, 1))
    bank.stage('instability', idx(0, 1), torch.tensor([float('nan'), 0.25]))
    bank.stage('history', idx(0, 1), torch.stack([torch.full((2, 3), float('inf')), torch.ones(2, 3)]))
    bank.commit()
    assert bank.read('instability', idx(0, 1)).tolist() == [0.5, 0.25]
    assert_close(bank.read('history', idx(0, 1)), torch.stack([history[0], torch.ones(2, 3)]))


def test_sizing_it_anew_forgets_everything():
    bank = make_bank()
    bank.stage('instability', idx(0), torch.tensor([9.0]))
    bank.allocate(LABELS[:2], 3, 'other data')
    bank.commit()
    assert bank.read('instability', idx(0, 1)).tolist() == [0.5, 0.5]
    assert bank.fingerprint == 'other data'


# --- duplicates ---


@pytest.mark.parametrize('order', list(itertools.permutations(range(4)))[::5])
def test_rows_of_one_sample_become_their_mean_and_class_ids_the_smallest_in_any_order(order):
    order = list(order)
    bank = make_bank()
    sample_idx = idx(3, 1, 3, 3)[order]
    # Multiples of 1/8: their sums are exact, so that the order may not matter by a single bit.
    numbers = torch.tensor([0.125, 0.5, 0.25, 0.75])[order]
    wide = (torch.arange(4 * 6).view(4, 2, 3) / 8)[order]
    bank.stage('instability', sample_idx, numbers)
    bank.stage('history', sample_idx, wide)
    bank.stage('relabelled', sample_idx, idx(2, 0, 1, 2)[order])
    bank.commit()
    assert_close(bank.read('instability', idx(1, 3)), torch.tensor([0.5, 0.375]), rtol=0, atol=0)
    expected = torch.arange(4 * 6).view(4, 2, 3) / 8
    assert_close(bank.read('history', idx(1, 3)), torch.stack([expected[1], expected[[0, 2, 3]].mean(0)]))
    assert bank.read('relabelled', idx(1, 3)).tolist() == [0, 1]
    untouched = bank.read('instability', idx(0, 2, 4))
    assert untouched.tolist() == [0.5] * 3


def test_rows_of_different_samples_do_not_touch_each_other():
    bank = make_bank()
    rows = torch.randn(5, 3)
    bank.stage('distribution', idx(4, 2, 0, 1, 3), rows)
    bank.commit()
    assert_close(bank.read('distribution', idx(4, 2, 0, 1, 3)), rows, rtol=0, atol=0)  # bitwise: a mean of one


@pytest.mark.parametrize(
    ('column', 'rows', 'expected'),
    [
        (Column((2,), torch.int64), [[5, 1], [7, 7], [3, 4]], [[3, 1], [7, 7]]),
        (Column((), torch.int32), [5, 7, 3], [3, 7]),
        (Column((), torch.bool), [True, True, False], [False, True]),
        (Column((), torch.float16), [0.5, 7.0, 0.25], [0.375, 7.0]),
    ],
)
def test_columns_of_other_types_and_shapes_resolve_duplicates_too(column, rows, expected):
    bank = make_bank({'x': column})
    bank.stage('x', idx(2, 4, 2), torch.tensor(rows, dtype=column.dtype))
    bank.commit()
    seen = bank.read('x', idx(2, 4))
    assert seen.dtype == column.dtype
    assert seen.tolist() == expected


# --- checkpoints ---


def test_it_goes_through_a_checkpoint():
    bank = make_bank()
    bank.stage('distribution', idx(0, 4), torch.rand(2, 3))
    bank.stage('relabelled', idx(2), idx(0))
    bank.commit()
    stream = io.BytesIO()
    torch.save(bank.state_dict(), stream)
    stream.seek(0)
    other = make_bank()
    other.load_state_dict(torch.load(stream, weights_only=True))
    for name in COLUMNS:
        assert_close(other.read(name, torch.arange(5)), bank.read(name, torch.arange(5)), rtol=0, atol=0)
    other.stage('relabelled', idx(2), idx(1))
    other.commit()
    assert bank.read('relabelled', idx(2)).item() == 0  # two banks, two memories


def test_another_training_set_is_refused_and_nothing_is_taken_from_it():
    bank, other = make_bank(), make_bank(fingerprint='other data')
    other.stage('instability', idx(0), torch.tensor([9.0]))
    other.commit()
    with pytest.raises(ValueError, match='remembers another training set.*resume with the data.*load_from'):
        bank.load_state_dict(other.state_dict())
    assert bank.read('instability', idx(0)).item() == 0.5


@pytest.mark.parametrize('names', [['distribution'], [*COLUMNS, 'more']])
def test_a_checkpoint_of_other_parts_is_refused(names):
    other = make_bank({name: COLUMNS.get(name, Column()) for name in names})
    with pytest.raises(ValueError, match='the checkpoint remembers .*, the config needs .*load_from'):
        make_bank().load_state_dict(other.state_dict())


def test_it_is_no_part_of_a_network():
    """Averaged models (EMA) and DDP would mix its rows; published weights would carry it."""
    owner = nn.Module()
    owner.bank = make_bank()
    assert not isinstance(owner.bank, nn.Module)
    assert not list(owner.buffers())
    assert not owner.state_dict()


def test_what_is_computed_once_an_epoch_is_in_the_checkpoint():
    def bank():
        made = SampleBank()
        made.declare({'value': Column()}, 'test')
        made.allocate(torch.tensor([0, 1]), 2, 'faces')
        return made

    calls = []

    def count():
        calls.append(1)
        return torch.tensor(float(len(calls)))

    first = bank()
    assert [float(first.of_epoch('limit', epoch, count)) for epoch in (3, 3, 4, 4)] == [1, 1, 2, 2]
    resumed = bank()
    resumed.load_state_dict(first.state_dict())
    assert float(resumed.of_epoch('limit', 4, count)) == 2
    assert float(resumed.of_epoch('limit', 5, count)) == 3
    older = first.state_dict()
    del older['of_epoch']
    resumed.load_state_dict(older)
    assert float(resumed.of_epoch('limit', 5, count)) == 4


# --- class ids ---


@pytest.mark.parametrize(
    ('classes', 'kept'), [(3, torch.int8), (128, torch.int8), (129, torch.int16), (32_769, torch.int32)]
)
@pytest.mark.parametrize('on_disk', [False, True])
def test_class_ids_are_kept_small_and_given_out_as_int64(tmp_path, classes, kept, on_disk):
    labels = torch.tensor([classes - 1, 0, 1, 2])
    bank = SampleBank()
    bank.declare({'relabelled': Column(dtype='class_id', start='label')}, 'here')
    bank.allocate(labels, classes, folder=tmp_path if on_disk else None)
    everyone = torch.arange(4)
    for given in (bank.read('relabelled', everyone), bank.observed(everyone), bank.labels):
        assert given.dtype == torch.int64
        assert given.tolist() == labels.tolist()
    bank.stage('relabelled', idx(1, 2, 1), idx(classes - 1, 0, classes - 2))  # two views: the smallest of both
    bank.commit()
    assert bank.read('relabelled', everyone).tolist() == [classes - 1, classes - 2, 0, 2]
    assert bank.column('relabelled').dtype == kept
    assert bank.state_dict()['columns']['relabelled'].dtype == kept
    assert bank.labels.tolist() == labels.tolist()


@pytest.mark.parametrize('seen', [True, False])
def test_checkpoints_that_kept_class_ids_as_int64_are_gone_on_with(seen):
    declared = {'relabelled': Column(dtype='class_id', start='label'), 'instability': Column()}
    bank = make_bank(declared)
    bank.stage('relabelled', idx(4, 0), idx(2, 0))
    bank.commit()
    state = bank.state_dict()
    earlier = {**state, 'columns': {**state['columns'], 'relabelled': torch.tensor([0, 0, 2, 2, 2])}}
    if not seen:
        del earlier['seen']  # told by the values, of one more type then
    resumed = make_bank(declared)
    resumed.load_state_dict(earlier)
    for name, column in state['columns'].items():
        assert resumed.column(name).dtype == column.dtype
        assert torch.equal(resumed.column(name), column)
    assert torch.equal(resumed.seen, bank.seen)


# --- on a disk ---


def test_on_a_disk_it_is_the_same_to_the_bit(tmp_path):
    labels = torch.randint(0, 3, (40,), generator=torch.Generator().manual_seed(0))
    banks = [make_bank(labels=labels), make_bank(labels=labels, folder=tmp_path / 'new')]
    assert os.listdir(tmp_path / 'new') == []  # nothing that a killed run could be thought to go on from
    generator = torch.Generator().manual_seed(1)
    for _ in range(5):
        sample_idx = torch.randint(0, 40, (12,), generator=generator)
        rows = {
            name: torch.randn(12, *banks[0].column(name).shape[1:], generator=generator).to(banks[0].column(name).dtype)
            for name in COLUMNS
        }
        rows['instability'][0] = torch.nan
        for bank in banks:
            for name, values in rows.items():
                bank.stage(name, sample_idx, values)
            bank.commit()
            bank.of_epoch('sum', 3, lambda bank=bank: bank.column('instability').sum())
    in_memory, on_disk = (bank.state_dict() for bank in banks)
    for name in COLUMNS:
        assert torch.equal(in_memory['columns'][name], on_disk['columns'][name])
        assert torch.equal(banks[0].read(name, idx(39, 0, 39)), banks[1].read(name, idx(39, 0, 39)))
    assert torch.equal(in_memory['seen'], on_disk['seen'])
    assert torch.equal(banks[0].observed(idx(3, 1)), labels[[3, 1]])
    assert torch.equal(banks[1].observed(idx(3, 1)), labels[[3, 1]])
    other = make_bank(labels=labels, folder=tmp_path)
    other.load_state_dict(in_memory)
    assert all(torch.equal(other.column(name), in_memory['columns'][name]) for name in COLUMNS)
    stream = io.BytesIO()
    torch.save(on_disk, stream)
    assert torch.equal(torch.load(io.BytesIO(stream.getvalue()))['columns']['history'], on_disk['columns']['history'])


def test_a_disk_without_room_is_told_when_it_is_sized(tmp_path, monkeypatch):
    def full(*_):
        raise OSError(28, 'No space left on device')

    monkeypatch.setattr(os, 'posix_fallocate', full)
    with pytest.raises(OSError, match='No space left') as error:
        make_bank(folder=tmp_path)
    assert error.value.filename == str(tmp_path)
    assert os.listdir(tmp_path) == []
