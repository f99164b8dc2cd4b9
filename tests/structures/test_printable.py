import pytest

from mmfer.structures.printable import printable, printable_name


@pytest.mark.parametrize(
    ('text', 'shown'),
    [
        ('\x1b[2J\x1b]0;title\x07.jpg', '\\x1b[2J\\x1b]0;title\\x07.jpg'),
        ('a\rb\bc\x7f\x9b31m', 'a\\rb\\x08c\\x7f\\x9b31m'),
        ('a\u202egpj.exe', 'a\\u202egpj.exe'),
        ('\u2066a\u2069\u200e\u061c\u2028b\u2029\ufeff', '\\u2066a\\u2069\\u200e\\u061c\\u2028b\\u2029\\ufeff'),
        ('a\udcff\x00', 'a\\udcff\\x00'),
        ('a\tb\nc', 'a\tb\nc'),
        ('bilder/größe 人 \u200d\u05d0.jpg', 'bilder/größe 人 \u200d\u05d0.jpg'),
    ],
)
def test_what_a_terminal_obeys_becomes_letters(text, shown):
    assert printable(text) == shown
    assert printable_name(text) == shown.replace('\t', '\\t').replace('\n', '\\n')


def test_nothing_is_left_that_cannot_be_encoded():
    shown = printable(''.join(map(chr, range(0x11000))))
    assert shown.encode().decode() == shown
