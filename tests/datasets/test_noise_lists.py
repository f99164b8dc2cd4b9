"""Lists in the forms that circulate, made here: names and labels of RAF-DB stay with RAF-DB."""

import numpy as np
import pytest

from mmfer.datasets.noise_lists import read_noise_list

COUNTS = np.array([1290, 281, 717, 4772, 1982, 705, 2524])
"""RAF-DB basic, training split."""


def rafdb():
    """Names and labels of a training set of RAF-DB's size."""
    label = np.random.default_rng(1).permutation(np.repeat(np.arange(7), COUNTS))
    return [f'train_{i:05d}_aligned.jpg' for i in range(1, len(label) + 1)], label


def mislabelled(label, count, seed):
    """Exactly `count` labels changed to another class."""
    random = np.random.default_rng(seed)
    rows, noisy = random.choice(len(label), count, replace=False), label.copy()
    noisy[rows] = (label[rows] + random.integers(1, 7, count)) % 7
    return noisy


def eac(names, labels):
    """As RAF-DB's own file: classes from 1, no line end after the last row."""
    return '\n'.join(f'{name.replace("_aligned", "")} {label + 1}' for name, label in zip(names, labels, strict=True))


def scn(names, labels):
    """The authors' own paths, classes from 0."""
    return ''.join(
        f'/home/someone/curriculum/RAFDB_DATA/aligned/{name} {label}\n'
        for name, label in zip(names, labels, strict=True)
    )


@pytest.mark.parametrize(
    ('form', 'count', 'percent', 'expected_base'),
    [
        (eac, 1241, 10.11, 1),
        (eac, 2498, 20.36, 1),
        (eac, 3722, 30.33, 1),
        (scn, 1271, 10.36, 0),
        (scn, 2487, 20.27, 0),
    ],
)
def test_lists_in_both_forms_give_the_rates_of_the_published_ones(form, count, percent, expected_base, tmp_path):
    names, label = rafdb()
    noisy = mislabelled(label, count, seed=count)
    (tmp_path / 'list.txt').write_text(form(names, noisy))
    read, base = read_noise_list(str(tmp_path / 'list.txt'), names, 7)
    assert len(read) == 12271
    assert base == expected_base
    assert np.array_equal(read, noisy)
    assert round(100 * (read != label).mean(), 2) == percent


def read(tmp_path, text, names=('a.jpg', 'b.jpg', 'c.jpg'), classes=3, **base):
    (tmp_path / 'list.txt').write_text(text)
    labels, base = read_noise_list(str(tmp_path / 'list.txt'), names, classes, **base)
    return labels.tolist(), base


@pytest.mark.parametrize(
    'text',
    [
        'c.jpg 0\na.jpg 2\nb.jpg 1\n',
        'c.jpg\t0\r\na.jpg\t2\r\nb.jpg\t1',
        'c.jpg,0\n\na.jpg, 2\nb.jpg;1\n',
        'D:\\faces\\c_aligned.png 0\nimages/a.png 2\nb 1\n',
    ],
)
def test_order_separators_folders_and_extensions_do_not_matter(text, tmp_path):
    assert read(tmp_path, text) == ([2, 1, 0], 0)


def test_names_with_blanks_are_one_name(tmp_path):
    assert read(tmp_path, 'my face 2.jpg 1\nb.jpg 3\n', ['my face 2.jpg', 'b.jpg']) == ([0, 2], 1)


def test_equal_names_in_several_folders_are_told_apart_where_the_list_names_the_folder(tmp_path):
    names = ['happy/1.jpg', 'sad/1.jpg']
    assert read(tmp_path, 'sad/1.jpg 0\nhappy/1.jpg 2\n', names) == ([2, 0], 0)
    with pytest.raises(ValueError, match='the training set has several rows of 1, so that it cannot be told'):
        read(tmp_path, '1.jpg 0\n2.jpg 2\n', names)


@pytest.mark.parametrize(('base', 'expected'), [(0, [1, 2, 1]), (1, [0, 1, 0])])
def test_a_base_that_the_numbers_do_not_tell_must_be_given(base, expected, tmp_path):
    text = 'a.jpg 1\nb.jpg 2\nc.jpg 1\n'
    with pytest.raises(ValueError, match='from 1 to 2, which may count from 0 or from 1; say which: --base 0 or'):
        read(tmp_path, text)
    assert read(tmp_path, text, base=base) == (expected, base)


@pytest.mark.parametrize(
    ('text', 'base', 'message'),
    [
        ('a.jpg 0\nb.jpg 3\nc.jpg 1\n', None, 'numbers from 0 to 3, but the training set has 3 classes, 0-2 or 1-3'),
        ('a.jpg 1\nb.jpg 3\nc.jpg 1\n', 0, 'numbers from 1 to 3, which are not 3 classes counted from 0'),
        ('a.jpg 1\nb.jpg 2\n', None, r'lacks 1 of the 3 training faces \(c.jpg|c\)'),
        ('a.jpg 1\nb.jpg 2\nc.jpg 3\ntest_1.jpg 1\n', None, r'lists 1 images that are none \(test_1\).*the test split'),
        ('a.jpg 1\nb.jpg 2\nc.jpg 3\na.jpg 2\n', None, 'list.txt has several rows of a.jpg'),
        ('a.jpg 1\nb.jpg\nc.jpg -1\n', None, r"has 2 bad lines; expected 'train_00001.jpg 5'"),
    ],
)
def test_what_does_not_fit_is_refused(text, base, message, tmp_path):
    with pytest.raises(ValueError, match=message):
        read(tmp_path, text, base=base)


def test_a_list_that_is_not_there(tmp_path):
    with pytest.raises(FileNotFoundError, match='there is no list of noisy labels'):
        read_noise_list(str(tmp_path / 'noise02.txt'), ['a.jpg'], 7)
