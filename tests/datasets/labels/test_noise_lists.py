"""Lists in the forms that circulate, made here: names and labels of RAF-DB stay with RAF-DB."""

import numpy as np
import pytest

from mmfer.datasets.labels.listed_labels import choose_labels
from mmfer.datasets.labels.noise_lists import read_noise_list
from mmfer.datasets.labels.schema import ORDERS

CLASSES = ORDERS['rafdb']
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
    read, said = chosen(tmp_path, names, label)
    assert len(read) == 12271
    assert said == (
        f"numbers from {expected_base} in the data set's own order: "
        + ', '.join(f'{i} {name}' for i, name in enumerate(CLASSES, expected_base))
        + f'; {100 - percent:.1f} % are the labels of the training set'
    )
    assert np.array_equal(read, noisy)
    assert round(100 * (read != label).mean(), 2) == percent


def chosen(tmp_path, names, label, config='rafdb', **options):
    """What is read of a list of RAF-DB, in the order of a config."""
    path, orders = str(tmp_path / 'list.txt'), dict(dataset=CLASSES, config=ORDERS[config])
    return choose_labels(path, read_noise_list(path, names, CLASSES), label, orders, **options)


def read(tmp_path, text, names=('a.jpg', 'b.jpg', 'c.jpg'), classes='xyz', labels=(2, 1, 0), **options):
    """Ids in the order of the classes, and what is said."""
    (tmp_path / 'list.txt').write_text(text)
    listed = read_noise_list(str(tmp_path / 'list.txt'), names, classes)
    orders = dict(dataset=classes, config=classes)
    ids, said = choose_labels(str(tmp_path / 'list.txt'), listed, np.array(labels), orders, **options)
    return ids.tolist(), said


@pytest.mark.parametrize(
    'text',
    [
        'c.jpg 0\na.jpg 2\nb.jpg 1\n',
        'c.jpg\t0\r\na.jpg\t2\r\nb.jpg\t1',
        'c.jpg,0\n\na.jpg, 2\nb.jpg;1\n',
        '"c.jpg","0"\n"a.jpg","2"\n"b.jpg","1"\n',
        'D:\\faces\\c_aligned.png 0\nimages/a.png 2\nb 1\n',
    ],
)
def test_order_separators_folders_and_extensions_do_not_matter(text, tmp_path):
    ids, said = read(tmp_path, text)
    assert ids == [2, 1, 0]
    assert said.startswith('numbers from 0 ')


def test_names_with_blanks_are_one_name(tmp_path):
    ids, said = read(tmp_path, 'my face 2.jpg 1\nb.jpg 3\n', ['my face 2.jpg', 'b.jpg'], labels=[0, 2])
    assert ids == [0, 2]
    assert said.startswith('numbers from 1 ')


def test_equal_names_in_several_folders_are_told_apart_where_the_list_names_the_folder(tmp_path):
    names = ['happy/1.jpg', 'sad/1.jpg']
    assert read(tmp_path, 'sad/1.jpg 0\nhappy/1.jpg 2\n', names, labels=[2, 0])[0] == [2, 0]
    with pytest.raises(ValueError, match='the training set has several rows of 1, so that it cannot be told'):
        read(tmp_path, '1.jpg 0\n2.jpg 2\n', names, labels=[2, 0])


@pytest.mark.parametrize(('base', 'expected'), [(0, [1, 2, 1]), (1, [0, 1, 0])])
def test_a_base_that_the_numbers_do_not_tell_is_told_by_the_labels_or_must_be_given(base, expected, tmp_path):
    text = 'a.jpg 1\nb.jpg 2\nc.jpg 1\n'
    ids, said = read(tmp_path, text, labels=[*expected[:2], 2])
    assert ids == expected
    assert said.startswith(f'numbers from {base} ')
    assert '; 66.7 % are the labels of the training set; with --base ' in said
    with pytest.raises(ValueError, match='can be read in several ways') as refused:
        read(tmp_path, text, labels=[2, 0, 2])
    assert f'--base {base} --order dataset (0.0 % are the labels of the training set; numbers from' in str(
        refused.value
    )
    assert read(tmp_path, text, labels=[2, 0, 2], base=base)[0] == expected


@pytest.mark.parametrize(
    ('text', 'base', 'message'),
    [
        ('a.jpg 0\nb.jpg 3\nc.jpg 1\n', None, 'numbers from 0 to 3, but the training set has 3 classes, 0-2 or 1-3'),
        ('a.jpg 1\nb.jpg 3\nc.jpg 1\n', 0, 'numbers from 1 to 3, which are not 3 classes counted from 0'),
        ('a.jpg 1\nb.jpg 2\nc.jpg -1\n', None, 'numbers from -1 to 2, but the training set has 3 classes'),
        ('a.jpg 1\nb.jpg 2.5\nc.jpg 0\n', None, 'has the class 2.5, which is no whole number; correct it'),
        ('a.jpg 1\nb.jpg 2\n', None, r'lacks 1 of the 3 training faces \(c.jpg|c\)'),
        ('a.jpg 1\nb.jpg 2\nc.jpg 3\ntest_1.jpg 1\n', None, r'lists 1 images that are none \(test_1\).*the test split'),
        ('a.jpg 1\nb.jpg 2\nc.jpg 3\na.jpg 2\n', None, 'list.txt has several rows of a.jpg'),
        ('a.jpg 1\nb.jpg\nc.jpg 2\n', None, r"has 1 bad line; expected 'train_00001.jpg 5'"),
    ],
)
def test_what_does_not_fit_is_refused(text, base, message, tmp_path):
    with pytest.raises(ValueError, match=message):
        read(tmp_path, text, base=base)


def test_a_face_in_the_first_line_is_no_title(tmp_path):
    with pytest.raises(ValueError, match=r"list\.txt:1: 'a\.jpg bored'"):
        read(tmp_path, 'a.jpg bored\nb.jpg sad\nc.jpg fear\n', classes=CLASSES)


def test_a_list_that_is_not_there(tmp_path):
    with pytest.raises(FileNotFoundError, match='there is no list of noisy labels'):
        read_noise_list(str(tmp_path / 'noise02.txt'), ['a.jpg'], 'xyz')


@pytest.fixture(scope='module')
def faces():
    """Names, labels of RAF-DB, and labels of which a fifth is wrong; 1,400 faces."""
    names, label = rafdb()
    return names[:1400], label[:1400], mislabelled(label[:1400], 280, seed=5)


def written(tmp_path, names, *columns, row='{name} {0}', top=''):
    lines = [
        row.format(*values, name=name.replace('_aligned', ''), i=i)
        for i, (name, values) in enumerate(zip(names, zip(*columns, strict=True), strict=True))
    ]
    (tmp_path / 'list.txt').write_text('\n'.join([*([top] if top else []), *lines]))


@pytest.mark.parametrize(
    ('row', 'top', 'noisy_first'),
    [
        ('{name} {0} {1}', '', True),
        ('{name} {0} {1}', '', False),
        ('{name},{0},{1}', 'image,noisy_label,clean_label', True),
        ('{name};{0};{1}', 'image;clean;noisy', False),
        ('{i}\t{name}\t{0}.0\t{1}.0', '\tname\tlabel\tlabel2', False),
        ('{i} {name} {0} {1}', '', True),
        ('"{name}",{0},{1}', '', False),
        ('"{i}","{name}","{0}.0","{1}.0"', '"","image","noisy","clean"', True),
    ],
)
def test_of_two_columns_of_labels_the_clean_one_is_known(row, top, noisy_first, faces, tmp_path):
    names, label, noisy = faces
    columns = (noisy + 1, label + 1) if noisy_first else (label + 1, noisy + 1)
    written(tmp_path, names, *columns, row=row, top=top)
    ids, said = chosen(tmp_path, names, label)
    assert np.array_equal(ids, noisy)
    which = 'first' if noisy_first else 'second'
    assert said.startswith(
        f"{which} of two columns of labels; numbers from 1 in the data set's own order: 1 surprise, "
    )
    assert said.endswith('; 80.0 % are the labels of the training set')


def test_two_columns_of_which_none_is_clean(faces, tmp_path):
    names, label, noisy = faces
    other = mislabelled(label, 140, seed=6)
    written(tmp_path, names, noisy, other, row='{name} {0} {1}')
    with pytest.raises(ValueError, match=r'neither of them is .* \(80.0 and 90.0 % agree\).*--column 1 or --column 2'):
        chosen(tmp_path, names, label)
    assert np.array_equal(chosen(tmp_path, names, label, column=1)[0], noisy)
    assert np.array_equal(chosen(tmp_path, names, label, column=2)[0], other)
    written(tmp_path, names, noisy, other, row='{name} {0} {1}', top='name noisy clean')
    assert np.array_equal(chosen(tmp_path, names, label)[0], noisy)


def test_a_first_line_that_contradicts_the_labels(faces, tmp_path):
    names, label, noisy = faces
    written(tmp_path, names, label, noisy, row='{name},{0},{1}', top='name,noisy,clean')
    with pytest.raises(
        ValueError, match='it is noisy that has the labels of the training set: is this set noisy already'
    ):
        chosen(tmp_path, names, label)
    assert np.array_equal(chosen(tmp_path, names, label, column=2)[0], noisy)


def test_a_number_of_the_row_is_no_label(faces, tmp_path):
    names, label, noisy = faces
    written(tmp_path, names, noisy, row='{i} {name} {0}')
    assert np.array_equal(chosen(tmp_path, names, label)[0], noisy)
    written(tmp_path, names, noisy, row='{i},{name},{0}', top=',image,label')
    assert np.array_equal(chosen(tmp_path, names, label)[0], noisy)
    with pytest.raises(ValueError, match=r'list\.txt has one column of labels: take --column out'):
        chosen(tmp_path, names, label, column=2)


@pytest.mark.parametrize('config', ['rafdb', 'affectnet7'])
def test_names_of_classes(config, faces, tmp_path):
    names, label, noisy = faces
    to = np.array([ORDERS[config].index(name) for name in CLASSES])
    words = [('Surprised', 'fear', 'DISGUST', 'happy', 'sad', 'Anger', 'neutral')[i] for i in noisy]
    written(tmp_path, names, words)
    ids, said = chosen(tmp_path, names, to[label], config)
    assert np.array_equal(ids, to[noisy])
    assert said == 'classes by name; 80.0 % are the labels of the training set'
    with pytest.raises(ValueError, match=r'list\.txt names its classes: take --base out'):
        chosen(tmp_path, names, to[label], config, base=1)
    written(tmp_path, names, [*words[:-1], '3'])
    with pytest.raises(ValueError, match=r"numbers and names of classes in one column, such as '\w+'; use one of both"):
        chosen(tmp_path, names, to[label], config)
    written(tmp_path, names, [*words[:-1], 'envy'])
    with pytest.raises(ValueError, match=r"has 1 bad line; expected .*\n.*list\.txt:1400: 'train_01400\.jpg envy'"):
        chosen(tmp_path, names, to[label], config)


def test_names_of_several_words(tmp_path):
    classes = ORDERS['rafdb_compound'][:3]
    text = 'a.jpg Happily Surprised\nb.jpg happily_disgusted\nc.jpg sadly-fearful\n'
    assert read(tmp_path, text, classes=classes)[0] == [0, 1, 2]


@pytest.mark.parametrize('base', [0, 1])
@pytest.mark.parametrize('counted', ['rafdb', 'affectnet7'])
def test_in_which_order_numbers_count_is_told_by_the_labels_and_said(counted, base, faces, tmp_path):
    """A config in the order of AffectNet, and lists in this one and in RAF-DB's own."""
    names, label, noisy = faces
    to = np.array([ORDERS['affectnet7'].index(name) for name in CLASSES])
    written(tmp_path, names, (noisy if counted == 'rafdb' else to[noisy]) + base)
    ids, said = chosen(tmp_path, names, to[label], 'affectnet7')
    assert np.array_equal(ids, to[noisy])
    whose = {'rafdb': "the data set's own order", 'affectnet7': 'the order of the config'}[counted]
    assert said.startswith(f'numbers from {base} in {whose}: {base} {ORDERS[counted][0]}, ')
    assert '; 80.0 % are the labels of the training set; with --base ' in said
    order = {'rafdb': 'config', 'affectnet7': 'dataset'}[counted]
    assert f'with --base {base} --order {order} ' in said
    forced, _ = chosen(tmp_path, names, to[label], 'affectnet7', order=order, base=base)
    assert not np.array_equal(forced, to[noisy])


def test_an_order_that_is_neither_the_data_sets_nor_the_configs(faces, tmp_path):
    names, label, noisy = faces
    to = np.array([ORDERS['fer2013'].index(name) for name in CLASSES])
    written(tmp_path, names, to[noisy])
    with pytest.raises(ValueError, match='can be read in several ways') as refused:
        chosen(tmp_path, names, label)
    assert '--base 0 --order fer2013 (80.0 % are the labels of the training set; ' in str(refused.value)
    assert '--base 0 --order dataset (' in str(refused.value)
    assert np.array_equal(chosen(tmp_path, names, label, base=0, order='fer2013')[0], noisy)
    assert np.array_equal(chosen(tmp_path, names, label, base=0, order='dataset')[0], to[noisy])


def test_a_manifest_is_no_list(tmp_path):
    (tmp_path / 'noise.csv').write_text('# mmfer label noise manifest, version 1\nname,clean,noisy\na.jpg,sad,happy\n')
    with pytest.raises(
        ValueError, match=r"is a manifest, not a list .* train with it, label_noise=dict\(kind='manifest'"
    ):
        read_noise_list(str(tmp_path / 'noise.csv'), ['a.jpg'], 'xyz')


@pytest.mark.parametrize('row', ['{name} {0} 0.{i}', '{name},{0},{i}'])
def test_a_number_behind_the_label_that_is_none(row, faces, tmp_path):
    names, label, noisy = faces
    written(tmp_path, names, noisy, row=row)
    with pytest.raises(ValueError, match='if that is no column of labels, say --column 1'):
        chosen(tmp_path, names, label)
    assert np.array_equal(chosen(tmp_path, names, label, column=1)[0], noisy)


@pytest.mark.parametrize('filler', [' ', '\t', ', ', ' 1', 'happy '])
def test_lines_that_would_take_ages_are_bad_ones(tmp_path, filler):
    path = tmp_path / 'noise.txt'
    path.write_text(f'a.jpg 1\nb.jpg{filler * 1000}x\n')
    with pytest.raises(ValueError, match=r'noise\.txt:2: .*\(more than 1,000 characters\)'):
        read_noise_list(str(path), ['a.jpg', 'b.jpg'], CLASSES)


@pytest.mark.parametrize('label', ['9' * 900, '٣', '1.5'])
def test_numbers_that_are_no_class(tmp_path, label):
    path = tmp_path / 'noise.txt'
    path.write_text(f'a.jpg 1\nb.jpg {label}\n')
    listed = read_noise_list(str(path), ['a.jpg', 'b.jpg'], CLASSES)
    with pytest.raises(ValueError, match=rf'noise\.txt has the class {label[:40]}, which is no whole number'):
        choose_labels(str(path), listed, np.array([0, 1]), dict(dataset=CLASSES, config=CLASSES))
