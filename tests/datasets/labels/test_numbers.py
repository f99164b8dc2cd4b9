import pytest

from mmfer.datasets.labels.numbers import whole_number


@pytest.mark.parametrize(
    ('value', 'number'),
    [
        *(('3', 3), (' 3.0 ', 3), ('+3', 3), ('-1', -1), ('007', 7), ('0', 0), ('000', 0), ('-0', 0), (3, 3), (3.0, 3)),
        *(('999999999', 999_999_999), ('1000000000', None), ('9' * 5000, None), ('0' * 5000 + '1', 1), (10**400, None)),
        *(('3.5', None), ('', None), ('٣', None), ('1_0', None), ('1e1', None), ('nan', None), (True, None)),
        *((float('nan'), None), (float('inf'), None), (1e300, None), (3.5, None), (b'3', None), (None, None)),
    ],
)
def test_whole_numbers(value, number):
    assert whole_number(value) == number
