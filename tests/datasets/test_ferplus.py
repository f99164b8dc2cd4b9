import os
import re

import numpy as np
import pytest
from layouts import LAYOUTS, OTHER_LAYOUTS, VOTES, write_csv

from mmfer.datasets import FERPlus


@pytest.fixture
def root(tmp_path):
    OTHER_LAYOUTS['FERPlus'](tmp_path, faces=2)
    return tmp_path


def relabel(root, votes):
    """The first training faces get these votes; the others are taken out of the list."""
    rows = [[f'fer{i:07d}.png', '(0, 0, 48, 48)', *row] for i, row in enumerate(votes)]
    write_csv(root / 'FER2013Train/label.csv', rows)


def test_both_layouts_are_the_same_faces(tmp_path):
    LAYOUTS['FERPlus'](tmp_path / 'csv', faces=2)
    OTHER_LAYOUTS['FERPlus'](tmp_path / 'folders', faces=2)
    for split in FERPlus.SPLITS:
        a, b = (
            FERPlus(str(tmp_path / kind), split=split, reading='distribution', pipeline=[dict(type='mmfer.LoadFace')])
            for kind in ('csv', 'folders')
        )
        assert a.fingerprint() == b.fingerprint()
        np.testing.assert_array_equal(a.columns['score'], b.columns['score'])
        for i in range(len(a)):
            np.testing.assert_array_equal(a[i]['img'], b[i]['img'])


def test_what_travels_along(root):
    relabel(root, [[6, 1, 0, 3, 0, 0, 0, 0, 0, 0], [5, 0, 0, 5, 0, 0, 0, 0, 0, 0], [0, 9, 0, 0, 0, 0, 0, 0, 1, 0]])
    majority, shares, published = (
        FERPlus(str(root), reading=reading) for reading in ('majority', 'distribution', 'cross_entropy')
    )
    assert majority.columns['name'].tolist() == ['fer0000000.png', 'fer0000002.png']
    assert majority.get_gt_labels().tolist() == [0, 1]
    assert 'score' not in majority.columns
    for dataset in (shares, published):
        assert dataset.get_gt_labels().tolist() == [0, 0, 1]
        np.testing.assert_allclose(dataset.get_data_info(0)['gt_score'], [2 / 3, 0, 0, 1 / 3, 0, 0, 0, 0], rtol=1e-6)


def test_votes_follow_the_classes_that_are_asked_for(root):
    relabel(root, [[6, 0, 0, 0, 0, 0, 0, 2, 0, 0], [0, 0, 0, 0, 0, 0, 0, 9, 0, 0]])
    dataset = FERPlus(str(root), reading='distribution', metainfo=dict(classes='rafdb'), drop_classes=['contempt'])
    assert dataset.metainfo['classes'][6] == 'neutral'
    assert dataset.get_gt_labels().tolist() == [6]
    assert dataset.get_data_info(0)['gt_score'].tolist() == [0, 0, 0, 0, 0, 0, 1]


def test_the_log_counts_who_is_left_out(root, monkeypatch):
    lines = []
    monkeypatch.setattr('mmfer.datasets.ferplus.print_log', lambda text, **kwargs: lines.append(text))
    FERPlus(str(root), split='test')
    assert lines == [
        'FERPlus test: the votes of label.csv with boxes, of each face its own; '
        "reading 'majority' leaves out 1 of 17 faces"
    ]


def without_boxes(path):
    path.write_text(path.read_text().replace('"(0, 0, 48, 48)",', ''))


def test_which_votes_are_read_is_told_by_the_box(root, tmp_path, monkeypatch):
    """The authors' script writes label.csv from fer2013new.csv, without boxes; their own files have them."""
    lines = []
    monkeypatch.setattr('mmfer.datasets.ferplus.print_log', lambda text, **kwargs: lines.append(text))
    assert FERPlus(str(root)).COUNTS == FERPlus.COUNTS
    for split in ('Train', 'Valid', 'Test'):
        without_boxes(root / f'FER2013{split}/label.csv')
    LAYOUTS['FERPlus'](tmp_path / 'csv', faces=2)
    for place in (root, tmp_path / 'csv'):
        assert FERPlus(str(place)).COUNTS == {}
        assert lines[-1].startswith(
            'FERPlus train: the votes of fer2013new.csv, of a picture that occurs again those of its first row; '
        )


def test_splits_with_two_sets_of_votes(root):
    without_boxes(root / 'FER2013Test/label.csv')
    for split in FERPlus.SPLITS:
        with pytest.raises(
            ValueError, match=r'mixes two sets of votes of FER\+: \w+ has the votes of .*and they differ'
        ):
            FERPlus(str(root), split=split)


def test_a_split_in_folders_with_boxes_and_another_in_the_csv(root):
    LAYOUTS['FERPlus'](root, faces=2)
    assert len(FERPlus(str(root), split='test')) == 16
    (root / 'FER2013Test').rename(root / 'elsewhere')
    with pytest.raises(
        ValueError, match=r'test has the votes of fer2013new\.csv, .* train the votes of label\.csv with'
    ):
        FERPlus(str(root), split='test')
    for split in ('Train', 'Valid'):
        without_boxes(root / f'FER2013{split}/label.csv')
    assert len(FERPlus(str(root), split='test')) == 16  # the same votes in two layouts


def test_an_unknown_reading(root):
    known = "must be one of 'majority', 'distribution', 'cross_entropy', 'probability', got 'votes'"
    with pytest.raises(ValueError, match=known):
        FERPlus(str(root), reading='votes')


@pytest.mark.parametrize(
    ('row', 'reason'),
    [
        (['a.png', 9, 1, 0, 0, 0, 0, 0, 0, 0], '9 votes'),
        (['a.png', 9, 'x', 0, 0, 0, 0, 0, 0, 0, 0], 'votes must be whole numbers'),
        (['a.png', 9, -1, 0, 0, 0, 0, 0, 0, 0, 0], 'votes must be whole numbers'),
        (['../a.png', 9, 0, 0, 0, 0, 0, 0, 0, 0, 0], 'leaves the data folder'),
        (['fer0000000.png', 9, 0, 0, 0, 0, 0, 0, 0, 0, 0], 'listed twice, first in line 1'),
        (['a.png', '(0, 0, 48, 48)', *[1] * 10], 'a box here, none in the first line: rows of two sets of votes'),
    ],
)
def test_bad_lines_of_a_folders_file(root, row, reason):
    for split in ('Valid', 'Test'):
        without_boxes(root / f'FER2013{split}/label.csv')
    write_csv(root / 'FER2013Train/label.csv', [['fer0000000.png', *[1] * 10], row])
    with pytest.raises(ValueError, match=f'label.csv:2: .*{re.escape(reason)}'):
        FERPlus(str(root))


def test_two_csv_files_that_do_not_belong_together(tmp_path):
    LAYOUTS['FERPlus'](tmp_path, faces=2)
    lines = (tmp_path / 'fer2013.csv').read_text().splitlines()
    (tmp_path / 'fer2013.csv').write_text('\n'.join(lines[:2] + lines[3:]))
    with pytest.raises(
        ValueError,
        match=r"has 54 rows, 18 of them for 'train', but .* has 53 and 17; they must list "
        'the same faces in the same order',
    ):
        FERPlus(str(tmp_path))


@pytest.mark.parametrize(
    ('cells', 'reason'),
    [
        (['Trainig', 'a.png', *[1] * 10], "usage 'Trainig' is unknown"),
        (['Training', 'a.png', *[1] * 9, ''], 'votes must be whole numbers'),
    ],
)
def test_bad_lines_of_the_votes(tmp_path, cells, reason):
    write_csv(tmp_path / 'fer2013new.csv', [['Usage', 'Image name', *VOTES], cells])
    (tmp_path / 'fer2013.csv').touch()
    with pytest.raises(ValueError, match=f'fer2013new.csv:2: .*{reason}'):
        FERPlus(str(tmp_path))


def test_half_a_folder(root):
    (root / 'FER2013Train/label.csv').unlink()
    with pytest.raises(FileNotFoundError, match='FERPlus expects label.csv in .*FER2013Train'):
        FERPlus(str(root))


@pytest.mark.skipif(not os.path.exists('data/ferplus/FER2013Train/label.csv'), reason='data/ferplus is not there')
def test_the_authors_own_folders_have_the_published_counts():
    for split, counts in FERPlus.COUNTS.items():
        dataset = FERPlus('data/ferplus', split=split)
        assert (len(dataset),) == counts == dataset.COUNTS[split]


def test_what_the_probability_scheme_draws_from(root):
    """The shares of the paper's cross-entropy scheme; the drawing is DrawnLabelsHook's."""
    relabel(root, [[6, 1, 0, 3, 0, 0, 0, 0, 0, 0], [0, 9, 0, 0, 0, 0, 0, 0, 1, 0]])
    drawn, shares = (FERPlus(str(root), reading=reading) for reading in ('probability', 'cross_entropy'))
    np.testing.assert_array_equal(drawn.columns['score'], shares.columns['score'])
    assert (drawn.draws_labels, shares.draws_labels) == (True, False)
    assert drawn.summary() == f'{shares.summary()}, labels drawn anew from the votes in each epoch'
