"""What a spreadsheet would compute is text in our tables, and comes back as it was."""

import random

import numpy as np
import pytest

from mmfer.datasets.reading.csv_cells import MARKED, defused, read_csv_rows, written_csv

HARMFUL = [
    '=1+1',
    '=HYPERLINK("http://x";"y").jpg',
    '+cmd|x',
    '-cmd',
    '@SUM(A1)',
    '\t=1',
    '\r=1',
    '\n=1',
    '\uff1d1',
    '\uff20x',
]


@pytest.mark.parametrize('text', HARMFUL)
def test_what_would_be_computed_has_an_apostrophe_in_front(text):
    assert defused(text) == f"'{text}"


@pytest.mark.parametrize('cell', [-1, -1.5, 3, np.float32(-0.5), np.int64(-7), None, True])
def test_numbers_stay_numbers(cell):
    assert defused(cell) is cell


@pytest.mark.parametrize(
    'text', ['-1', '-0.250000', '+3', '-1.', '-1e-07', '0.1', 'train_00001.jpg', '', ' =1', 'a=b', 'a-b.jpg', '3-1']
)
def test_texts_that_nothing_computes_stay(text):
    assert defused(text) == text


@pytest.mark.parametrize('text', ['-1.png', '-1-1', '+-1', '-1_0', '--1', '-', '-inf', '-٣'])
def test_what_only_begins_like_a_number_is_marked(text):
    assert defused(text) == f"'{text}"


def test_every_cell_comes_back(tmp_path):
    names = [*HARMFUL, '=a.jpg', '-1.png', "'x.jpg", "''x", "'=x", "'", '', '-1', 'a,b"c"', 'a\r\nb', 'ü', 'a\udcffb']
    draw = random.Random(0)
    letters = [*MARKED, 'a', ',', '"', '1', '.', ' ', '\udce4', 'é', ';']
    names += [''.join(draw.choices(letters, k=draw.randint(0, 5))) for _ in range(5000)]
    rows = [names[i : i + 7] for i in range(0, len(names), 7)]
    rows = [row for row in rows if row != ['']]
    with written_csv(tmp_path / 'new/table.csv') as table:
        table.writerow(['=name', "'label"])
        table.writerows(rows)
        assert not (tmp_path / 'new/table.csv').exists()
    assert list(read_csv_rows(tmp_path / 'new/table.csv')) == [['=name', "'label"], *rows]
    assert [path.name for path in (tmp_path / 'new').iterdir()] == ['table.csv']


def test_a_table_that_is_no_csv_any_more(tmp_path):
    (tmp_path / 'table.csv').write_text('a,' + 'b' * 200_000)
    with pytest.raises(ValueError, match=r'table\.csv cannot be read as csv .*: delete it, and it is made anew'):
        list(read_csv_rows(tmp_path / 'table.csv'))
