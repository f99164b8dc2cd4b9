import unicodedata

import pytest

from mmfer.datasets.reading.names import is_line, normal_name, normal_names

TWO = unicodedata.normalize('NFD', 'é')


@pytest.mark.parametrize(
    ('name', 'same'),
    [
        ('a.jpg', 'a.jpg'),
        ('./a.jpg', 'a.jpg'),
        ('x//y/./a.jpg', 'x/y/a.jpg'),
        ('x\\y\\a.jpg', 'x/y/a.jpg'),
        ('.\\a.jpg', 'a.jpg'),
        (f'x/Andr{TWO}.jpg', 'x/André.jpg'),
        ('x./a.b.jpg', 'x./a.b.jpg'),
        ('\udcff.jpg', '\udcff.jpg'),  # no UTF-8
        ('a\nb.jpg', 'a\nb.jpg'),
    ],
)
def test_one_file_has_one_name(name, same):
    assert len(TWO) == 2
    assert normal_name(name) == same
    assert list(normal_names([name, 'b.jpg'])) == [same, 'b.jpg']


def test_names_that_are_normal_are_not_copied():
    names = ['a.jpg', 'x/b.jpg']
    assert normal_names(names) is names


def test_a_name_that_is_a_line():
    assert is_line('größe, "笑".jpg')
    assert not any(map(is_line, ('a\nb.jpg', 'a\u2028b.jpg', 'a\rb', '\udcff.jpg', '')))
