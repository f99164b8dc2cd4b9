"""Faces that are evaluated are not trained on, whatever their folder is called and whoever lists them."""

import os
from pathlib import Path
from types import SimpleNamespace

import pytest
from layouts import draw, make_fer2013, make_ferplus, write
from miniature import make_rafdb
from tools.conftest import ROOT, load_tool

from mmfer.apis.data.packing import pack
from mmfer.datasets import FER2013, RAFDB, ConcatFaces, CsvFaces, FERPlus, FolderFaces
from mmfer.datasets.images.face_places import FacePlaces, shared_rows
from mmfer.engine.checks import held_out
from mmfer.engine.checks.held_out import check_apart, check_tested, set_to_test

WORDS = ('surprise', 'fear', 'disgust', 'happiness', 'sadness', 'anger', 'neutral')


@pytest.fixture
def root(tmp_path, monkeypatch) -> Path:
    """data/people/0.jpg to 13.jpg, and csv files: all of them, and two halves."""
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / 'data'
    for number in range(14):
        write(folder / 'people' / f'{number}.jpg', draw(number % 7, number, 32)[0])
    for name, rows in dict(faces=range(14), first=range(7), second=range(7, 14)).items():
        lines = [f'people/{number}.jpg,{WORDS[number % 7]}\n' for number in rows]
        (folder / f'{name}.csv').write_text('name,label\n' + ''.join(lines))
    return folder


def leak(train, val) -> int:
    try:
        check_apart(train, dict(val_dataloader=val))
    except ValueError as error:
        return int(str(error).partition(' ')[0])
    return 0


@pytest.mark.parametrize('way', ['./data', 'data/', 'data/../data', 'data//', 'link', '{root}', 'data/people/..'])
def test_a_folder_under_another_name_is_the_same_folder(way, root, tmp_path):
    (tmp_path / 'link').symlink_to(root)
    train, val = CsvFaces('data'), CsvFaces(way.format(root=root), split='val', ann_file='first.csv')
    assert leak(train, val) == 7
    assert leak(CsvFaces(way.format(root=root), ann_file='second.csv'), val) == 0


def test_a_file_may_be_named_from_several_folders_and_by_links(root, tmp_path):
    train = CsvFaces('data', ann_file='first.csv')
    for number in range(5):
        (root / 'people' / f'link{number}.jpg').symlink_to(f'{number}.jpg')
    os.link(root / 'people/5.jpg', root / 'people/copy5.jpg')  # another file for all that a name tells
    (root / 'near.csv').write_text('name,label\n' + ''.join(f'{i}.jpg,sad\n' for i in range(3, 9)))
    (root / 'links.csv').write_text(
        'name,label\n' + ''.join(f'link{i}.jpg,sad\n' for i in range(5)) + 'copy5.jpg,sad\n'
    )
    near = CsvFaces('data', split='val', ann_file='near.csv', image_folder='people')
    links = CsvFaces('data', split='val', ann_file='links.csv', image_folder='./people')
    assert (leak(train, near), leak(train, links)) == (4, 5)
    (tmp_path / 'other').mkdir()
    (tmp_path / 'other/a').symlink_to(root / 'people')
    (tmp_path / 'sets/train').mkdir(parents=True)
    (tmp_path / 'sets/train/happy').symlink_to(root / 'people')
    (tmp_path / 'sets/test').mkdir()
    (tmp_path / 'sets/test/happy').symlink_to(root / 'people')
    assert leak(FolderFaces('sets'), FolderFaces('sets', split='test')) == 20


@pytest.mark.parametrize(('make', 'cls'), [(make_fer2013, FER2013), (make_ferplus, FERPlus)])
def test_a_link_to_a_file_of_pixels_is_that_file(make, cls, tmp_path):
    make(tmp_path / 'data')
    (tmp_path / 'other').mkdir()
    for file in (tmp_path / 'data').iterdir():
        (tmp_path / 'other' / file.name).symlink_to(file)
    data, other = (str(tmp_path / folder) for folder in ('data', 'other'))
    assert leak(cls(data, split='test'), cls(other, split='test')) == len(cls(data, split='test'))
    assert leak(cls(data, split='train'), cls(other, split='test')) == 0


def test_rows_not_only_sets_are_told(root):
    places = FacePlaces()
    whole, half = CsvFaces('data'), CsvFaces(str(root), ann_file='second.csv')
    assert shared_rows([whole], [half]).tolist() == [False] * 7 + [True] * 7
    assert shared_rows([half], [whole]).all()
    assert shared_rows([], [whole]).shape == (0,)
    assert len(set(places.of(whole))) == 14
    assert places.folder('nowhere') == os.path.abspath('nowhere')


def test_whole_sets_that_consist_of_several(root):
    train = ConcatFaces([dict(type='mmfer.CsvFaces', data_root='data', ann_file='first.csv')])
    val = ConcatFaces(
        [
            dict(type='mmfer.CsvFaces', data_root='./data', split='val', ann_file=f'{half}.csv')
            for half in ('second', 'first')
        ]
    )
    assert leak(train, val) == 7


def test_a_face_that_is_trained_on_twice_is_told(root, monkeypatch):
    lines = []
    monkeypatch.setattr(held_out, 'print_log', lambda text, **_: lines.append(text))
    twice = ConcatFaces([dict(type='mmfer.CsvFaces', data_root=place) for place in ('data', './data')])
    check_apart(twice, {})
    (line,) = lines
    assert line.startswith("CsvFaces in './data' has 14 faces that another data set of train_dataloader has already")


def test_packed_faces_are_those_of_their_files(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    make_rafdb(tmp_path / 'data', per_class=2, size=32, test_per_class=2)
    cfg = load_tool('train').configure(
        load_tool('train').parse_args(
            [
                str(ROOT / 'configs/baseline/r18_rafdb_96px_12e.py'),
                '--cfg-options',
                *(f'{loader}_dataloader.dataset.data_root=data' for loader in ('train', 'val', 'test')),
                *(f'{loader}_dataloader.dataset.pipeline.0.size=32' for loader in ('train', 'val', 'test')),
            ]
        )
    )
    pack(cfg, tmp_path / 'faces.pack', ['train'])
    load = [dict(type='mmfer.LoadFace', size=32)]
    packed = RAFDB('./data', packed='faces.pack', pipeline=load)
    held = RAFDB('data', split='val', holdout=dict(fraction=0.5))
    assert leak(packed, held) == 7
    assert leak(RAFDB('data', holdout=dict(fraction=0.5)), held) == leak(packed, RAFDB('data', split='test')) == 0


def test_the_sentence_for_a_csv_that_parts_nothing(root):
    with pytest.raises(ValueError, match='are trained on, too') as refused:
        check_apart(CsvFaces('data'), dict(val_dataloader=None, test_dataloader=CsvFaces('data', split='test')))
    assert str(refused.value) == (
        '14 of the 14 faces that test_dataloader evaluates are trained on, too: data/faces.csv has no column split, so '
        'that all of its rows are in every split; add one that says train, val or test, or name another file with '
        'test_dataloader.dataset.ann_file; to evaluate faces that were trained on, say '
        "test_dataloader.dataset.split='train'"
    )


def test_the_sentence_for_others(root, tmp_path):
    for split in ('train', 'test'):
        (tmp_path / 'sets' / split).mkdir(parents=True)
        (tmp_path / 'sets' / split / 'happy').symlink_to(root / 'people')
    train, test = (FolderFaces('sets', split=split) for split in ('train', 'test'))
    with pytest.raises(
        ValueError, match=r'14 of the 14 .* take them out of one of the two, or give train_dataloader\.d'
    ):
        check_apart(train, dict(val_dataloader=test))
    holdout = dict(fraction=0.1, seed=0)  # what it says
    train, val = (FolderFaces('sets', split=split, holdout=holdout) for split in ('train', 'val'))
    check_apart(train, dict(val_dataloader=val))


def test_the_sentence_for_a_folder_without_splits(root, tmp_path):
    (tmp_path / 'sets').mkdir()
    (tmp_path / 'sets' / 'happy').symlink_to(root / 'people')
    with pytest.raises(ValueError) as error:  # noqa: PT011
        check_apart(FolderFaces('sets'), dict(val_dataloader=FolderFaces('sets', split='test')))
    assert str(error.value) == (
        '14 of the 14 faces that val_dataloader evaluates are trained on, too: sets has no folder for each split, so '
        'that all of its faces are in every split; give train_dataloader.dataset and val_dataloader.dataset the same '
        "holdout=dict(fraction=.1, seed=0) and say val_dataloader.dataset.split='val', or sort them into train and "
        "test; to evaluate faces that were trained on, say val_dataloader.dataset.split='train'"
    )
    holdout = dict(fraction=0.1, seed=0)  # what it says
    train, val = (FolderFaces('sets', split=split, holdout=holdout) for split in ('train', 'val'))
    check_apart(train, dict(val_dataloader=val))


def test_to_evaluate_what_was_trained_on_must_be_said(root, monkeypatch):
    lines = []
    monkeypatch.setattr(held_out, 'print_log', lambda text, **_: lines.append(text))
    check_apart(CsvFaces('data'), dict(test_dataloader=CsvFaces('data', split='train')))
    assert lines == [
        "test_dataloader evaluates 14 faces that are trained on, as its split='train' says: these figures say nothing "
        'of unseen faces'
    ]
    check_apart(
        CsvFaces('data', ann_file='first.csv'),
        dict(test_dataloader=CsvFaces('data', split='train', ann_file='second.csv')),
    )
    assert len(lines) == 1


def runner(val, test, built=None):
    cfg = {f'{name}_dataloader': dict(dataset=settings) for name, settings in dict(val=val, test=test).items()}
    return SimpleNamespace(cfg=cfg, val_loop=built, val_dataloader=SimpleNamespace(dataset=built))


def test_the_set_to_test_is_looked_at_before_it_is_needed(root, monkeypatch):
    lines = []
    monkeypatch.setattr(held_out, 'print_log', lambda text, **_: lines.append(text))
    settings, val = dict(type='mmfer.CsvFaces', data_root='data', split='test', lazy_init=True), object()
    assert len(set_to_test(runner(None, settings)).columns['name']) == 14
    assert set_to_test(runner(settings, settings, val)) is val
    assert set_to_test(runner(settings, None, val)) is set_to_test(runner(settings, dict(split='test'), val)) is None
    assert not lines
    assert set_to_test(runner(settings, dict(settings, data_root='absent'), val)) is None
    assert lines[0].startswith(
        'whether test_dataloader evaluates faces that are trained on is not checked: CsvFaces exp'
    )


def test_a_csv_that_parts_nothing_is_compared_when_it_is_tested(root):
    settings, test = (
        dict(type='mmfer.CsvFaces', data_root='./data'),
        CsvFaces('data', split='test', ann_file='first.csv'),
    )
    with pytest.raises(
        ValueError, match='7 of the 7 faces that test_dataloader evaluates are trained on, too: data/first'
    ):
        check_tested(settings, test)
    check_tested(dict(settings, ann_file='second.csv'), test)
    check_tested(dict(settings, data_root='absent'), test)
    check_tested(settings, CsvFaces('data', split='train'))
    check_tested(None, test)


CONFIG = """
_base_ = '{root}/configs/baseline/r18_synthfaces.py'
_faces = dict(_delete_=True, type='mmfer.CsvFaces', data_root='data', metainfo=dict(classes='rafdb'),
              pipeline=[dict(type='mmfer.LoadFace', size=32), dict(type='mmfer.PackFace')])
_small = dict(num_workers=0, persistent_workers=False, batch_size=7)
train_dataloader = dict(dataset=dict(**_faces), **_small)
val_dataloader = dict(dataset=dict(**_faces, split='test', ann_file='{val}'), **_small)
test_dataloader = dict(dataset=dict(**_faces, split='test', ann_file='{test}'), **_small)
model = dict(backbone=dict(base_channels=8, stem_channels=8), head=dict(in_channels=64))
train_cfg = dict(max_epochs=1)
"""


def test_the_tools_refuse_it_and_the_cures_can_be_typed(root, tmp_path, capsys):
    train, test = (load_tool(name).main for name in ('train', 'test'))

    def config(**files):
        path = tmp_path / 'config.py'
        path.write_text(CONFIG.format(root=ROOT, **{'val': 'second.csv', 'test': 'second.csv', **files}))
        return str(path)

    def stops(tool, *words) -> str:
        with pytest.raises(SystemExit):
            tool([*words])
        return capsys.readouterr().err.splitlines()[-1]

    first = ['--cfg-options', 'train_dataloader.dataset.ann_file=first.csv']
    for loader in ('val', 'test'):
        said = stops(train, config(**{loader: 'first.csv'}), *first)
        assert said.startswith(
            f'mmfer: error: 7 of the 7 faces that {loader}_dataloader evaluates are trained on, too: '
        )
        assert f"evaluate faces that were trained on, say {loader}_dataloader.dataset.split='train'" in said
    assert 'are trained on, too' in stops(train, config(val='first.csv'), *first, 'default_hooks.protocol=None')
    train([config(test='first.csv'), *first, "test_dataloader.dataset.split='train'"])
    said = capsys.readouterr().out
    assert "test_dataloader evaluates 7 faces that are trained on, as its split='train' says" in said
    checkpoint = 'work_dirs/config/epoch_1.pth'
    said = stops(test, config(test='first.csv'), checkpoint, *first)
    assert 'data/first.csv has no column split' in said
    test([config(test='first.csv'), checkpoint, *first, 'test_dataloader.dataset.ann_file=second.csv'])
    test([config(test='first.csv'), checkpoint, *first, "test_dataloader.dataset.split='train'"])
    assert 'mean class accuracy' in capsys.readouterr().out


@pytest.mark.parametrize('links', [True, False])
def test_the_shared_rows_of_either_side_are_told_whichever_is_larger(links, root, monkeypatch):
    if not links:  # as of a set of millions, of which only rows that are called alike are looked at
        monkeypatch.setattr('mmfer.datasets.images.face_places._MOST_LINKS', 0)
    every, second = CsvFaces('data'), CsvFaces('data', split='val', ann_file='second.csv')
    assert shared_rows([every], [second]).tolist() == [False] * 7 + [True] * 7
    assert shared_rows([second], [every]).tolist() == [True] * 7
    assert shared_rows([every], []).tolist() == [False] * 14
    assert shared_rows([], [every]).tolist() == []
    assert shared_rows([CsvFaces('data', ann_file='first.csv')], [second]).tolist() == [False] * 7
    elsewhere = CsvFaces('data/people', ann_file='../second.csv', image_folder='..')
    assert shared_rows([every], [elsewhere]).sum() == 7
