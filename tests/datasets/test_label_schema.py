import numpy as np
import pytest

from mmfer.datasets.label_schema import ORDERS, canonical, label_map

SEVEN = {'surprise', 'fear', 'disgust', 'happiness', 'sadness', 'anger', 'neutral'}


@pytest.mark.parametrize(('word', 'name'), [
    ('Happy', 'happiness'), (' HAPPINESS ', 'happiness'), ('angry', 'anger'), ('Sad', 'sadness'), ('NE', 'neutral'),
    ('Surprised', 'surprise'), ('uncertain', 'uncertain')])
def test_synonyms(word, name):
    assert canonical(word) == name


@pytest.mark.parametrize('dataset', ORDERS)
def test_every_order_is_of_the_vocabulary(dataset):
    order = ORDERS[dataset]
    assert [canonical(name) for name in order] == list(order)
    assert set(order) - {'contempt'} == SEVEN
    assert len(order) == len(set(order))


def test_orders_are_those_of_the_files():
    """Spot checks against the datasets' own papers and readme files."""
    assert ORDERS['rafdb'][3] == ORDERS['fer2013'][3] == 'happiness'
    assert ORDERS['affectnet8'][7] == ORDERS['ferplus'][7] == 'contempt'
    assert ORDERS['affectnet7'] == ORDERS['affectnet8'][:7]
    assert ORDERS['ferplus'][:4] == ('neutral', 'happiness', 'surprise', 'sadness')


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
