import numpy as np
import pytest
from layouts import LAYOUTS, write

from mmfer.datasets import CsvFaces
from mmfer.datasets.labels.schema import ORDERS


@pytest.fixture
def root(tmp_path):
    LAYOUTS['CsvFaces'](tmp_path)
    return tmp_path


@pytest.fixture
def listed(tmp_path):
    """Writes a file and its images; gives the dataset."""

    def make(text, encoding='utf-8', **kwargs):
        (tmp_path / 'faces.csv').write_bytes(text.encode(encoding))
        return CsvFaces(str(tmp_path), **kwargs)

    for name in ('a.jpg', 'b c.jpg', 'grün.jpg', 'd, e.jpg'):
        write(tmp_path / name, np.zeros((2, 2, 3), np.uint8))
    return make


def test_splits_people_and_names(root):
    for split in ('train', 'val', 'test'):
        dataset = CsvFaces(str(root), split=split)
        assert dataset.columns['name'].tolist() == [f'people/{split} {i}.jpg' for i in range(21)]
        assert dataset.metainfo['classes'] == tuple(sorted(ORDERS['rafdb']))
    train, val = (CsvFaces(str(root), split=split, holdout=dict(fraction=0.3)) for split in ('train', 'val'))
    assert len(train) + len(val) == 21
    assert not set(train.columns['identity'].tolist()) & set(val.columns['identity'].tolist())


@pytest.mark.parametrize('encoding', ['utf-8', 'utf-8-sig', 'utf-16'])
@pytest.mark.parametrize('end', ['\n', '\r\n', '\n\n'])
@pytest.mark.parametrize('gap', [',', '\t', ' ; '])
def test_any_program_that_writes_csv_will_do(listed, encoding, end, gap):
    rows = [('Name', 'LABEL'), ('a.jpg', 'Happy'), ('b c.jpg', 'sadness'), ('grün.jpg', 'joy'), ('"d, e.jpg"', 'sad')]
    dataset = listed(end.join(gap.join(row) for row in rows) + end, encoding)
    assert dataset.columns['name'].tolist() == ['a.jpg', 'b c.jpg', 'grün.jpg', 'd, e.jpg']
    assert dataset.metainfo['classes'] == ('happiness', 'sadness')
    assert dataset.get_gt_labels().tolist() == [0, 1, 0, 1]
    step = 2 if end == '\n\n' else 1
    assert dataset.columns['line'].tolist() == [1 + step * i for i in range(1, 5)]


def test_numbers_count_in_the_classes_that_are_given(listed):
    text = 'name,label,clean_label\na.jpg,0,3\nb c.jpg,6,\ngrün.jpg,3,-1\n'
    with pytest.raises(ValueError, match=r'faces.csv numbers its classes; say what the numbers mean: metainfo=dict\('):
        listed(text)
    dataset = listed(text, metainfo=dict(classes='rafdb'))
    assert dataset.get_gt_labels().tolist() == [0, 6, 3]
    assert dataset.columns['clean_label'].tolist() == [3, -1, -1]


def test_other_words_for_columns_and_splits(tmp_path):
    for name in ('a.jpg', 'b.jpg', 'c.jpg'):
        write(tmp_path / 'pictures' / name, np.zeros((2, 2, 3), np.uint8))
    (tmp_path / 'all.tsv').write_text(
        'subject\tFile\tEmotion\tUsage\tnote\nme\ta.jpg\tsad\tTraining\t\nme\tb.jpg\tsad\tvalid\t-\n'
        'you\tc.jpg\tfear\tPrivateTest\t,\n'
    )
    for split, name, label in (('train', 'a.jpg', 1), ('val', 'b.jpg', 1), ('test', 'c.jpg', 0)):
        dataset = CsvFaces(str(tmp_path), split=split, ann_file='all.tsv', image_folder='pictures')
        assert dataset.columns['name'].tolist() == [name]
        assert dataset.get_gt_labels().tolist() == [label]
        assert dataset.get_data_info(0)['img_path'] == str(tmp_path / 'pictures' / name)
    assert dataset.columns['identity'].tolist() == ['you']


@pytest.mark.parametrize('word', ['Set', 'subset', 'partition', 'phase'])
def test_a_split_under_another_name_is_not_overlooked(word, listed):
    dataset = listed(f'name,label,{word}\na.jpg,sad,train\nb.jpg,fear,test\nc.jpg,sad,val\n')
    assert dataset.columns['name'].tolist() == ['a.jpg']
    with pytest.raises(ValueError, match="split 'A' is not among train, val and test"):
        listed(f'name,label,{word}\na.jpg,sad,A\n').full_init()


def test_names_are_mapped_to_the_classes_that_are_given(listed):
    text = 'name,label\na.jpg,contempt\nb c.jpg,Fearful\n'
    dataset = listed(text, metainfo=dict(classes='rafdb'), drop_classes=['contempt'])
    assert dataset.get_gt_labels().tolist() == [1]
    with pytest.raises(ValueError, match='contempt .* would be dropped silently'):
        listed(text, metainfo=dict(classes='rafdb'))


@pytest.mark.parametrize(
    ('row', 'reason'),
    [
        ('b c.jpg', '1 cells instead of 3'),
        ('b c.jpg,1,train,x', '4 cells instead of 3'),
        ('a.jpg,1,train', 'the image is listed twice, first in line 2'),
        ('a.jpg,1,test', 'the image is listed twice, first in line 2'),
        ('./a.jpg,1,train', 'the image is listed twice, first in line 2'),
        ('.//a.jpg,1,train', 'the image is listed twice, first in line 2'),
        ('b c.jpg,7,train', 'label 7 is not among 0-6'),
        ('b c.jpg,-1,train', 'label -1 is not among 0-6'),
        ('b c.jpg,,train', 'the label is empty'),
        (',1,train', 'the name is empty'),
        ('b c.jpg,1,Trian', "split 'Trian' is not among train, val and test"),
        ('../b c.jpg,1,train', 'the path leaves the data folder: give one relative to it, without ..'),
        ('x/../../b c.jpg,1,train', 'the path leaves the data folder'),
        ('/b c.jpg,1,train', 'the path leaves the data folder'),
        ('C:\\faces\\b c.jpg,1,train', 'the path leaves the data folder'),
        ('gr\ufffdn.jpg,1,train', 'it is not UTF-8: save the file as UTF-8'),
    ],
)
def test_bad_lines(listed, row, reason):
    with pytest.raises(ValueError, match=r"faces.csv has 1 bad line; expected 'name,label' as in the header") as error:
        listed(f'name,label,split\na.jpg,0,train\n{row}\ngrün.jpg,2,train\n', metainfo=dict(classes='rafdb'))
    assert 'faces.csv:3: ' in str(error.value)
    assert reason in str(error.value)


def test_all_that_is_wrong_is_listed_in_the_order_of_the_file(listed):
    with pytest.raises(ValueError, match='has 4 bad lines') as error:
        listed('name,label\na.jpg,9\n../a.jpg,1\nb c.jpg\na.jpg,2\n', metainfo=dict(classes='rafdb'))
    assert [int(line.split(':')[1]) for line in str(error.value).splitlines()[1:]] == [2, 3, 4, 5]


def test_a_file_whose_every_row_is_wrong_says_so_and_which_columns_were_taken(listed):
    ages = ''.join(f'{i}.jpg,{i + 20},{i % 7}\n' for i in range(25))
    with pytest.raises(ValueError, match='has 25 bad lines, which is every line there is: it may be another') as error:
        listed(f'image,emotion,class_id\n{ages}', metainfo=dict(classes='rafdb'))
    assert "or other columns may be meant than name = 'image', label = 'emotion'; expected" in str(error.value)
    assert 'and 15 more' in str(error.value)


@pytest.mark.parametrize('number', ['9' * 20, '9' * 5000, '-' + '9' * 5000, '1e400', '1' + '0' * 5000 + '.0'])
def test_numbers_that_no_array_holds(listed, number):
    with pytest.raises(ValueError, match=r'faces\.csv:3: (.|\n)*is no whole number'):
        listed(f'name,label\na.jpg,0\nb c.jpg,{number}\n', metainfo=dict(classes='rafdb'))


def test_a_long_cell_does_not_fill_the_screen(listed):
    with pytest.raises(
        ValueError, match=r'\(label xxx.* \.\.\. .*xxx is no number, as the other labels are\)'
    ) as error:
        listed(f'name,label\na.jpg,0\nb c.jpg,1\ngrün.jpg,{"x" * 50_000}\n', metainfo=dict(classes='rafdb'))
    assert len(str(error.value)) < 1000


def test_a_cell_of_two_hundred_thousand_letters(listed):
    with pytest.raises(ValueError, match=r'faces\.csv:2: the line has more than 100,000 characters'):
        listed('name,label\n' + 'a' * 200_000 + ',0\n', metainfo=dict(classes='rafdb'))
    with pytest.raises(ValueError, match=r'faces\.csv:2: a cell runs over the end of its line; is a quotation mark'):
        listed('name,label\n"a\n' + ('b' * 100 + '\n') * 2000, metainfo=dict(classes='rafdb'))


def test_latin_1_is_not_utf_8(listed):
    with pytest.raises(ValueError, match=r'faces.csv:2: .*it is not UTF-8: save the file as UTF-8'):
        listed('name,label\ngrün.jpg,happy\n', 'latin-1')


def test_headers_quotes_and_wrong_columns(listed):
    with pytest.raises(ValueError, match=r"faces.csv:1: the header 'a.jpg,happy' has no column name and no label; "):
        listed('a.jpg,happy\n')
    with pytest.raises(ValueError, match=r'faces.csv:3: a cell runs over the end of its line; is a quotation'):
        listed('name,label\na.jpg,happy\n"b c.jpg,sad\ngrün.jpg",sad\n'.replace('a.jpg,happy\n', '\n'))
    with pytest.raises(ValueError, match=r'faces.csv has more than 1000 different labels, such as'):
        listed('label,name\n' + ''.join(f'{i}.jpg,happy\n' for i in range(1200)))


def test_a_header_with_two_columns_that_may_be_the_one(listed):
    with pytest.raises(
        ValueError, match=r"csv:1: the header has 'emotion' and 'class', and either may be the column label; "
    ):
        listed('name,emotion,class\na.jpg,sad,happy\n')
    with pytest.raises(ValueError, match="call the one that is meant 'label', and no other"):
        listed('name,label,label\na.jpg,sad,happy\n')
    assert listed('name,emotion,label\na.jpg,sad,happy\n').metainfo['classes'] == ('happiness',)  # as it says


@pytest.mark.parametrize('text', ['', '\n', 'name,label\n'])
def test_an_empty_file(listed, text):
    with pytest.raises(ValueError, match='the header|has no face for split'):
        listed(text)


def test_missing_images_are_named_with_their_lines(listed):
    with pytest.raises(
        FileNotFoundError,
        match=r'2 of the 3 images that CsvFaces train lists are not in .*: '
        r'x.jpg \(faces.csv:2\), people/y.jpg \(faces.csv:4\); unpack',
    ):
        listed('name,label\nx.jpg,sad\na.jpg,sad\npeople/y.jpg,sad\n')


def test_images_that_no_row_lists_are_counted(listed, monkeypatch):
    lines = []
    monkeypatch.setattr('mmfer.datasets.images.image_files.print_log', lambda text, **kwargs: lines.append(text))
    assert len(listed('name,label\na.jpg,sad\n')) == 1
    assert [line for line in lines if line.startswith('CsvFaces: 3 images in ') and 'are in no row' in line]


def test_pieces_of_a_long_file_fit_together(listed, monkeypatch, tmp_path):
    """Rows, codes of labels and repeated names across the pieces in which a file is read."""
    monkeypatch.setattr('mmfer.datasets.reading.csv_table._ROWS_AT_ONCE', 2)
    monkeypatch.setattr('mmfer.datasets.csv_faces._AT_ONCE', 2)
    names = [f'{i}.jpg' for i in range(10)]
    for name in names:
        write(tmp_path / name, np.zeros((2, 2, 3), np.uint8))
    words = ['sad', 'happy', 'sad', 'fear', 'sadness', 'anger', 'joy', 'fear', 'sad', 'happy']
    text = 'name,label\n' + ''.join(f'{name},{word}\n' for name, word in zip(names, words, strict=True))
    dataset = listed(text)
    assert dataset.columns['name'].tolist() == names
    assert dataset.get_gt_labels().tolist() == [3, 2, 3, 1, 3, 0, 2, 1, 3, 2]
    assert dataset.columns['line'].tolist() == list(range(2, 12))
    with pytest.raises(ValueError, match=r'faces.csv:12: .*listed twice, first in line 3'):
        listed(text + '1.jpg,sad\n')


def test_two_hashes_may_be_equal(listed, monkeypatch):
    """Names are compared, not only their hashes."""
    monkeypatch.setattr('mmfer.datasets.reading.files.hash', lambda name: 1, raising=False)
    dataset = listed('name,label\na.jpg,sad\nb c.jpg,sad\ngrün.jpg,sad\n')
    assert np.array_equal(dataset.columns['line'], [2, 3, 4])
