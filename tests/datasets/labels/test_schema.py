import numpy as np
import pytest

from mmfer.datasets.columns import map_classes
from mmfer.datasets.labels.schema import ORDERS, canonical, class_names, label_map

SEVEN = {'surprise', 'fear', 'disgust', 'happiness', 'sadness', 'anger', 'neutral'}


@pytest.mark.parametrize(
    ('word', 'name'),
    [
        ('Happy', 'happiness'),
        (' HAPPINESS ', 'happiness'),
        ('angry', 'anger'),
        ('Sad', 'sadness'),
        ('NE', 'neutral'),
        ('Surprised', 'surprise'),
        ('uncertain', 'uncertain'),
        ('3_happy', 'happiness'),
        ('5 - Sad', 'sadness'),
        ('Happily_Surprised', 'happily surprised'),
        ('happily-surprised', 'happily surprised'),
        ('3', '3'),
    ],
)
def test_synonyms(word, name):
    assert canonical(word) == name


@pytest.mark.parametrize('dataset', ORDERS)
def test_every_order_is_of_the_vocabulary(dataset):
    order = ORDERS[dataset]
    assert [canonical(name) for name in order] == list(order)
    assert len(order) == len(set(order))
    if dataset != 'rafdb_compound':
        assert set(order) - {'contempt'} == SEVEN


def test_orders_are_those_of_the_files():
    """Spot checks against the datasets' own papers and readme files."""
    assert ORDERS['rafdb'][3] == ORDERS['fer2013'][3] == 'happiness'
    assert ORDERS['affectnet8'][7] == ORDERS['ferplus'][7] == 'contempt'
    assert ORDERS['affectnet7'] == ORDERS['affectnet8'][:7]
    assert ORDERS['ferplus'][:4] == ('neutral', 'happiness', 'surprise', 'sadness')
    assert len(ORDERS['rafdb_compound']) == 11
    assert ORDERS['rafdb_compound'][0] == 'happily surprised'
    assert ORDERS['rafdb_compound'][10] == 'disgustedly surprised'


@pytest.mark.parametrize('source', ['rafdb', 'affectnet7', 'fer2013', 'sfew'])
@pytest.mark.parametrize('target', ['rafdb', 'ferplus', 'affectnet8'])
def test_ids_keep_their_names(source, target):
    to = label_map(ORDERS[source], ORDERS[target])
    assert to.dtype == np.int64
    assert [ORDERS[target][i] for i in to] == list(ORDERS[source])


def test_a_class_is_never_dropped_silently():
    with pytest.raises(ValueError, match=r"contempt of .* dropped silently .*drop_classes=\['contempt'\]"):
        label_map(ORDERS['affectnet8'], ORDERS['rafdb'])
    to = label_map(ORDERS['affectnet8'], ORDERS['rafdb'], drop=['Contempt'])
    assert to[7] == -1
    assert (to[:7] >= 0).all()


@pytest.mark.parametrize('drop', ['boredom', 'anger'])
def test_only_what_is_there_and_unwanted_can_be_dropped(drop):
    with pytest.raises(ValueError, match=f'cannot drop {drop}'):
        label_map(ORDERS['rafdb'], ORDERS['rafdb'], drop=[drop])


def test_one_class_under_two_names_is_refused():
    with pytest.raises(ValueError, match='target classes .* name happiness twice'):
        label_map(('happy', 'sad'), ('happy', 'joy', 'sad'))


@pytest.mark.parametrize('target', ORDERS)
@pytest.mark.parametrize('source', ORDERS)
def test_there_and_back_again(source, target):
    """Every ordered pair: what both have keeps its name on the way and its id on the way back."""
    there, back = ORDERS[source], ORDERS[target]
    only_here, only_there = ([name for name in a if name not in b] for a, b in ((there, back), (back, there)))
    to, fro = label_map(there, back, only_here), label_map(back, there, only_there)
    assert len(to) == len(there)
    for label, name in enumerate(there):
        if name in back:
            assert back[to[label]] == name
            assert fro[to[label]] == label
        else:
            assert to[label] == -1
    if only_here:
        with pytest.raises(ValueError, match='dropped silently'):
            label_map(there, back)


@pytest.mark.parametrize('target', ORDERS)
@pytest.mark.parametrize('source', ORDERS)
def test_columns_go_there_and_back_again(source, target):
    there, back = ORDERS[source], ORDERS[target]
    both = [name for name in there if name in back]
    label = np.arange(3 * len(there)) % len(there)
    random = np.random.default_rng(0)
    score = random.random((len(label), len(there))).astype(np.float32)
    clean = random.permutation(label)
    clean[1] = -1
    columns = dict(
        name=np.array([f'{i}' for i in range(len(label))]),
        label=label,
        clean_label=clean,
        score=score / score.sum(1, keepdims=True),
    )
    moved = map_classes(columns, there, back, [name for name in there if name not in back])
    again = map_classes(moved, back, there, [name for name in back if name not in there])
    rows = np.flatnonzero(np.isin(label, [there.index(name) for name in both]))
    assert again['name'].tolist() == [str(row) for row in rows]
    assert np.array_equal(again['label'], label[rows])
    assert [back[i] for i in moved['label']] == [there[i] for i in label[rows]]
    lost = ~np.isin(clean, [there.index(name) for name in both])
    assert np.array_equal(again['clean_label'], np.where(lost, -1, clean)[rows])
    shares = columns['score'][rows].copy()
    shares[:, [i for i, name in enumerate(there) if name not in both]] = 0
    if both:
        np.testing.assert_allclose(again['score'], shares / shares.sum(1, keepdims=True), rtol=1e-5)


def test_an_order_by_name():
    assert class_names('ferplus') == ORDERS['ferplus']
    with pytest.raises(ValueError, match=r"classes='raf-db' is no known order; take one of rafdb, affectnet7, .*list"):
        class_names('raf-db')
