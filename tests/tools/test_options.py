"""`--cfg-options` as typed: what a value becomes, and that nothing typed is forgotten."""

from argparse import ArgumentParser

import pytest

from mmfer.apis.config import KeyValue, typed_options


def parsed(*words: str):
    parser = ArgumentParser()
    parser.add_argument('--cfg-options', nargs='+', action=KeyValue)
    return parser.parse_args(words)


@pytest.mark.parametrize(
    ('typed', 'value'),
    [
        ('1', 1),
        ('1e-3', 0.001),
        ('None', None),
        ('true', True),
        ('', ''),
        ('my data/raf db', 'my data/raf db'),
        ('[a b, c d]', ['a b', 'c d']),
        ('1,2', [1, 2]),
        ('[1, 2]', [1, 2]),
        ("'[1, 2]'", [1, 2]),
        ('(1,)', (1,)),
        ('[(a,b),(c,d)]', [('a', 'b'), ('c', 'd')]),
        ('"a, b"', 'a, b'),
        ('"7"', 7),
        ('a=b', 'a=b'),
        ("it's", "it's"),
    ],
)
def test_a_value_is_what_it_looks_like(typed, value):
    found = parsed('--cfg-options', f'x.y={typed}').cfg_options['x.y']
    assert found == value
    assert type(found) is type(value)


def test_options_given_twice_add_up_and_the_last_word_counts():
    args = parsed('--cfg-options', 'a=1', 'b=2', '--cfg-options', 'b=3', 'c=x y')
    assert args.cfg_options == {'a': 1, 'b': 3, 'c': 'x y'}
    assert typed_options(args) == ['a=1', 'b=2', 'b=3', 'c=x y']
    assert typed_options(parsed()) == []
