"""Labels as programs write them: 3.0 is 3 everywhere a label is read, and what is no class is said to be none."""

import re

import numpy as np
import pytest
from layouts import LAYOUTS, OTHER_LAYOUTS, write

from mmfer.datasets import FER2013, RAFDB, AffectNet, CsvFaces, ExpW, FERPlus
from mmfer.datasets.labels.numbers import is_number, stands_for_nothing, whole_number
from mmfer.datasets.labels.schema import canonical
from mmfer.datasets.labels.texts import read_label_texts


@pytest.mark.parametrize('value', ['3', '3.0', '3.', ' 3.00 ', '+3', '03', 3, 3.0, np.float32(3).item()])
def test_whole_numbers(value):
    assert whole_number(value) == 3


@pytest.mark.parametrize(
    'value', ['3.5', 'nan', 'inf', '1e1', '3,0', '', 'x', '3 0', '٣', 3.5, np.nan, np.inf, True, None]
)
def test_what_is_none(value):
    assert whole_number(value) is None


def test_numbers_and_what_stands_for_nothing():
    assert [is_number(text) for text in ('3', '3.5', '3,5', '-1', '1e1', 'inf', 'nan', 'x', '3_happy')] == [
        True
    ] * 7 + [False] * 2
    assert [stands_for_nothing(text) for text in ('nan', 'NaN', 'NA', '<NA>', 'None', 'null', '0', 'na_')] == [
        True
    ] * 6 + [False] * 2


def test_a_number_before_a_name_is_left_out_and_a_fraction_is_none():
    assert [canonical(name) for name in ('3_happy', '3. Happy', '3.0', '0.0', '-1')] == [
        'happiness',
        'happiness',
        '3.0',
        '0.0',
        '1',
    ]


def test_names_and_numbers():
    words = read_label_texts({'Happy': 2, ' SAD ': 1, 'joy': 1}, 'f.csv')
    assert (words.classes, words.ids) == (('happiness', 'sadness'), {'Happy': 0, ' SAD ': 1, 'joy': 0})
    assert words.faults == {}
    numbers = read_label_texts({'0.0': 2, '2': 1, '2.0': 1, '3.0': 1, '-1': 1, '1.5': 1}, 'f.csv', ('a', 'b', 'c'))
    assert (numbers.classes, numbers.ids) == (('a', 'b', 'c'), {'0.0': 0, '2': 2, '2.0': 2})
    assert numbers.faults == {'3.0': 'is not among 0-2', '-1': 'is not among 0-2', '1.5': 'is no whole number'}
    called = read_label_texts({'1.0': 2, '5': 1, '2': 1}, 'f.csv', ('1', '5', '7'))  # classes that are called so
    assert (called.ids, called.faults) == ({'1.0': 0, '5': 1}, {'2': 'is not among 1, 5, 7'})


def test_the_minority_of_a_mixture_is_wrong():
    assert read_label_texts({'happy': 2, '3': 1}, 'f.csv', ('happy',)).faults == {
        '3': 'is a number, and the other labels are names'
    }
    assert read_label_texts({'happy': 1, '0': 2}, 'f.csv', ('happy',)).faults == {
        'happy': 'is no number, as the other labels are'
    }


@pytest.fixture
def listed(tmp_path):
    def make(rows, header='name,label', **kwargs):
        for row in rows:
            write(tmp_path / row.split(',')[0], np.zeros((2, 2, 3), np.uint8))
        (tmp_path / 'faces.csv').write_text('\n'.join([header, *rows]))
        return CsvFaces(str(tmp_path), **kwargs)

    return make


def test_a_csv_as_pandas_writes_it_where_some_are_missing(listed):
    rows = ['a.jpg,0.0,3.0', 'b.jpg,6.0,', 'c.jpg,3.0,-1.0']
    dataset = listed(rows, 'name,label,clean_label', metainfo=dict(classes='rafdb'))
    assert dataset.get_gt_labels().tolist() == [0, 6, 3]
    assert dataset.get_clean_labels().tolist() == [3, -1, -1]


@pytest.mark.parametrize('label', ['0.0', '3.0'])
def test_numbers_with_a_point_are_no_names(listed, label):
    with pytest.raises(ValueError, match=r'faces\.csv numbers its classes; say what the numbers mean'):
        listed([f'a.jpg,{label}', 'b.jpg,1.0'])


@pytest.mark.parametrize(
    ('label', 'fault'),
    [
        ('3.5', 'is no whole number'),
        ('1e1', 'is no whole number'),
        ('inf', 'is no whole number'),
        ('7.0', 'is not among 0-6'),
        ('nan', 'stands for no class (take the row out; if it is a class, name it in metainfo=dict(classes=[...]))'),
        ('happy', 'is no number, as the other labels are'),
    ],
)
@pytest.mark.parametrize('column', ['label', 'clean_label'])
def test_what_is_no_number_of_a_class_is_named_with_its_line(listed, label, fault, column):
    rows = {'label': f'b.jpg,{label},1', 'clean_label': f'b.jpg,1,{label}'}
    with pytest.raises(ValueError, match=re.escape(f"faces.csv:3: 'b.jpg' ({column} {label} {fault})")):
        listed(['a.jpg,1.0,0', rows[column], 'c.jpg,2.0,2'], 'name,label,clean_label', metainfo=dict(classes='rafdb'))


@pytest.mark.parametrize('label', ['nan', 'None', 'NA', '3.0'])
def test_among_names_it_is_no_class(listed, label):
    with pytest.raises(ValueError, match=rf"faces\.csv:3: 'b\.jpg' \(label {re.escape(label)} "):
        listed(['a.jpg,happy', f'b.jpg,{label}', 'c.jpg,sad'])


def test_the_cure_for_a_class_that_is_called_none(listed):
    dataset = listed(['a.jpg,happy', 'b.jpg,None'], metainfo=dict(classes=['happiness', 'none']))
    assert dataset.get_gt_labels().tolist() == [0, 1]
    assert listed(
        ['a.jpg,happy', 'b.jpg,None'], metainfo=dict(classes=['happiness']), drop_classes=['none']
    ).get_gt_labels() == [0]


def test_numbers_that_may_count_from_1_are_warned_of(listed, monkeypatch):
    lines = []
    monkeypatch.setattr('mmfer.datasets.csv_faces.print_log', lambda text, **_: lines.append(text))
    listed(['a.jpg,1', 'b.jpg,6'], metainfo=dict(classes='rafdb'))
    (line,) = lines
    assert 'faces.csv: no label is 0, which stands for surprise; numbers count from 0: correct them' in line
    listed(['a.jpg,0', 'b.jpg,6'], metainfo=dict(classes='rafdb'))
    assert len(lines) == 1


def test_who_is_unknown_is_nobody_else(listed):
    rows = ['a.jpg,sad,1.0', 'b.jpg,sad,', 'c.jpg,sad,nan', 'd.jpg,sad,1.0']
    assert listed(rows, 'name,label,person').columns['identity'].tolist() == ['1.0', 'b.jpg', 'c.jpg', '1.0']


def test_classes_must_be_names():
    with pytest.raises(ValueError, match=r"must be names, or the name of an order such as 'rafdb', got \[0, 1\]"):
        CsvFaces(metainfo=dict(classes=[0, 1]), lazy_init=True)


def pointed(path, pattern, to=r'\g<0>.0'):
    path.write_text(re.sub(pattern, to, path.read_text(), flags=re.MULTILINE))


@pytest.mark.parametrize(
    ('kind', 'layouts', 'change'),
    [
        (RAFDB, LAYOUTS, lambda root: pointed(root / 'basic/EmoLabel/list_patition_label.txt', r'\d$')),
        (ExpW, LAYOUTS, lambda root: pointed(root / 'label/label.lst', r'\d$')),
        (FER2013, LAYOUTS, lambda root: pointed(root / 'fer2013.csv', r'^\d(?=,)')),
        (FERPlus, LAYOUTS, lambda root: pointed(root / 'fer2013new.csv', r'(?<=,)\d+(?=,|$)')),
        (FERPlus, OTHER_LAYOUTS, lambda root: pointed(root / 'FER2013Train/label.csv', r'(?<=,)\d+(?=,|$)')),
        (AffectNet, OTHER_LAYOUTS, lambda root: pointed(root / 'training.csv', r'(?<=,)\d+(?=,-?[\d.]+,-?[\d.]+$)')),
    ],
    ids=['RAFDB', 'ExpW', 'FER2013', 'FERPlus', 'FERPlus folders', 'AffectNet csv'],
)
def test_every_format_reads_it(kind, layouts, change, tmp_path):
    layouts[kind.__name__](tmp_path, faces=2)
    before = kind(str(tmp_path))
    files = {path: path.read_bytes() for path in tmp_path.rglob('*') if path.suffix in ('.txt', '.lst', '.csv')}
    change(tmp_path)
    assert any(path.read_bytes() != text for path, text in files.items())
    assert kind(str(tmp_path)).fingerprint() == before.fingerprint()


def test_affectnets_arrays(tmp_path):
    LAYOUTS['AffectNet'](tmp_path, faces=2)
    before, place = AffectNet(str(tmp_path)), tmp_path / 'train_set/annotations'
    for number, value in enumerate([np.array(0.0), np.array('1.0'), np.array([2.0]), np.float32(3), np.int8(4)]):
        np.save(place / f'{number}_exp.npy', value)
    assert AffectNet(str(tmp_path)).get_gt_labels().tolist() == before.get_gt_labels().tolist()
    for number, value in enumerate([3.7, np.nan, np.inf, '1e1', True]):
        np.save(place / f'{number}_exp.npy', np.array(value))
    with pytest.raises(
        ValueError, match=r'5 files in .* 0_exp.npy \(label 3.7 is not among 0-10\), 1_exp.npy \(label nan'
    ):
        AffectNet(str(tmp_path))
