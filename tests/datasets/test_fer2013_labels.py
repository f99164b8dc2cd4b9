"""FERPlus(observed='fer2013'): FER2013's own labels, of which FER+ says whether they are wrong."""

import os
import re

import numpy as np
import pytest
from layouts import LAYOUTS, OTHER_LAYOUTS, write_csv

from mmfer.datasets import FERPlus
from mmfer.datasets.labels.schema import ORDERS

ANGER, HAPPINESS, SADNESS, NEUTRAL = (
    ORDERS['fer2013'].index(name) for name in ('anger', 'happiness', 'sadness', 'neutral')
)


@pytest.fixture
def root(tmp_path):
    OTHER_LAYOUTS['FERPlus'](tmp_path, faces=2)
    return tmp_path


def say(root, faces):
    """The first training faces get these votes (by name of the emotion) and labels of FER2013; the others go."""
    order, votes, labels = (*ORDERS['ferplus'], 'unknown', 'NF'), [], [['name', 'usage', 'label']]
    for i, (counts, label) in enumerate(faces):
        name = f'fer{i:07d}.png'
        votes.append([name, '(0, 0, 48, 48)', *(counts.get(emotion, 0) for emotion in order)])
        labels.append([name, 'Training', label])
    write_csv(root / 'FER2013Train/label.csv', votes)
    write_csv(root / 'fer2013_labels.csv', labels)


FACES = [
    (dict(neutral=8, sadness=2), 'sadness'),
    (dict(happiness=10), 'happiness'),
    (dict(neutral=5, sadness=5), 'sadness'),  # no majority
    (dict(contempt=9, anger=1), 'anger'),
    (dict(unknown=9, fear=1), 'fear'),  # for FER+ it shows none of the emotions
    (dict(anger=9, disgust=1), ''),
]


def test_the_observed_label_is_fer2013s_and_the_clean_one_the_majority(root):
    say(root, FACES)
    dataset = FERPlus(str(root), observed='fer2013')
    assert dataset.metainfo['classes'] == ORDERS['fer2013']
    assert dataset.columns['name'].tolist() == [f'fer{i:07d}.png' for i in range(5)]
    assert dataset.get_gt_labels().tolist() == [SADNESS, HAPPINESS, SADNESS, ANGER, ORDERS['fer2013'].index('fear')]
    assert dataset.get_clean_labels().tolist() == [NEUTRAL, HAPPINESS, -1, -1, -1]
    assert 'score' not in dataset.columns
    assert dataset.COUNTS == {}
    assert dataset.summary().endswith('label noise rate 0.5000 of 2 whose clean label is known')


def test_the_log_says_who_is_left_out_and_how_many_labels_are_wrong(root, monkeypatch):
    say(root, FACES)
    lines = []
    monkeypatch.setattr('mmfer.datasets.ferplus.print_log', lambda text, **kwargs: lines.append(text))
    FERPlus(str(root), observed='fer2013')
    assert lines == [
        'FERPlus train: the votes of label.csv with boxes, of each face its own; '
        "the labels are FER2013's, which 1 of 6 faces do not have; "
        'of 3 faces with a majority of FER+ 66.7 % have another label; '
        'it is contempt, which FER2013 does not know, for 1, whose clean label counts as unknown'
    ]


def test_classes_in_another_order(root):
    say(root, FACES)
    dataset = FERPlus(str(root), observed='fer2013', metainfo=dict(classes='rafdb'))
    names = [dataset.metainfo['classes'][label] for label in dataset.get_gt_labels()]
    assert names == ['sadness', 'happiness', 'sadness', 'anger', 'fear']
    assert (
        dataset.get_clean_labels().tolist() == [ORDERS['rafdb'].index(x) for x in ('neutral', 'happiness')] + [-1] * 3
    )


def test_both_layouts_say_the_same(tmp_path):
    LAYOUTS['FERPlus'](tmp_path / 'csv', faces=16)
    OTHER_LAYOUTS['FERPlus'](tmp_path / 'folders', faces=16)
    for split in FERPlus.SPLITS:
        a, b = (FERPlus(str(tmp_path / kind), split=split, observed='fer2013') for kind in ('csv', 'folders'))
        assert a.fingerprint() == b.fingerprint()
        np.testing.assert_array_equal(a.get_clean_labels(), b.get_clean_labels())
        known = a.get_clean_labels() >= 0
        assert (~known).sum() == 17  # contempt, and the face that is unknown
        assert 0 < (a.get_gt_labels() != a.get_clean_labels())[known].mean() < 0.1


def test_folders_beside_the_published_files(root, tmp_path):
    """The labels of fer2013.csv, whose faces fer2013new.csv names, come before those of a table."""
    table = FERPlus(str(root), observed='fer2013')
    LAYOUTS['FERPlus'](tmp_path / 'csv', faces=2)
    for file in ('fer2013.csv', 'fer2013new.csv'):
        (tmp_path / 'csv' / file).rename(root / file)
    write_csv(root / 'fer2013_labels.csv', [['name', 'label'], ['fer0000000.png', 'disgust']])
    for split in ('Train', 'Valid', 'Test'):  # the votes of fer2013new.csv are those of a label.csv without boxes
        path = root / f'FER2013{split}/label.csv'
        path.write_text(path.read_text().replace('"(0, 0, 48, 48)",', ''))
    published = FERPlus(str(root), observed='fer2013')
    assert published.fingerprint() == table.fingerprint()
    assert published.label_file.endswith('label.csv')


def test_the_seven_classes_of_a_test_on_ferplus(root, monkeypatch):
    lines = []
    monkeypatch.setattr('mmfer.datasets.face_dataset.print_log', lambda text, **kwargs: lines.append(text))
    test = FERPlus(str(root), split='test', metainfo=dict(classes='fer2013'), drop_classes=['contempt'])
    assert test.metainfo['classes'] == FERPlus(str(root), observed='fer2013').metainfo['classes']
    assert lines == ['FERPlus test: drop_classes leaves out 2 of 16 faces (contempt)']
    assert len(test) == 14


def test_more_noise_on_top_keeps_what_is_clean(root):
    noise = dict(kind='symmetric', rate=1)
    dataset = FERPlus(str(root), observed='fer2013', label_noise=noise)
    plain = FERPlus(str(root), observed='fer2013')
    np.testing.assert_array_equal(dataset.get_clean_labels(), plain.get_clean_labels())
    assert (dataset.get_gt_labels() != plain.get_gt_labels()).all()
    rate = (dataset.get_gt_labels() != plain.get_clean_labels())[plain.get_clean_labels() >= 0].mean()
    assert f'label noise {noise}, realised rate {rate:.4f} of 14 whose clean label is known' in dataset.summary()


@pytest.mark.parametrize(
    ('settings', 'sentence'),
    [
        (dict(observed='raf'), "observed must be 'ferplus' or 'fer2013', got 'raf'"),
        (
            dict(observed='fer2013', reading='cross_entropy'),
            "observed='fer2013' takes FER2013's labels, beside which FER+'s votes would give the wrong ones away: take "
            "reading='cross_entropy' out",
        ),
        (
            dict(reading='probability', test_mode=True),
            "reading='probability' draws labels in training, and nothing where faces are evaluated: give it to the "
            "training set alone, and reading='majority' to this one",
        ),
    ],
)
def test_settings_that_do_not_go(root, settings, sentence):
    with pytest.raises(ValueError, match=re.escape(sentence)):
        FERPlus(str(root), **settings)


@pytest.mark.parametrize('there', ['', 'fer2013.csv', 'fer2013new.csv'])
def test_folders_without_fer2013s_labels(root, there):
    (root / 'fer2013_labels.csv').unlink()
    if there:
        (root / there).touch()
    missing = ' and '.join(file for file in ('fer2013.csv', 'fer2013new.csv') if file != there)
    with pytest.raises(FileNotFoundError) as error:
        FERPlus(str(root), observed='fer2013')
    text = str(error.value)
    assert text.startswith(f"FERPlus with observed='fer2013' expects {missing} in data_root={str(root)!r}")
    for cure in ('https://github.com/microsoft/FERPlus', 'https://www.kaggle.com', 'or put there fer2013_labels.csv'):
        assert cure in text


@pytest.mark.parametrize(
    ('line', 'reason'),
    [
        ('fer0000001.png,contempt', "the label 'contempt' is none of FER2013"),
        ('fer0000001.png,7', "the label '7' is none of FER2013"),
        ('fer0000000.png,anger', 'the image is listed twice, first in line 2'),
        ('fer0000001.png', '1 cells instead of 2'),
    ],
)
def test_bad_lines_of_the_table(root, line, reason):
    (root / 'fer2013_labels.csv').write_text(f'name,label\nfer0000000.png,anger\n{line}\n')
    with pytest.raises(ValueError, match=f'fer2013_labels.csv:3: .*{re.escape(reason)}'):
        FERPlus(str(root), observed='fer2013')


def test_labels_by_number_and_by_other_words(root):
    (root / 'fer2013_labels.csv').write_text('image,emotion\nfer0000000.png,6\nfer0000001.png,Happy\n')
    assert FERPlus(str(root), observed='fer2013').get_gt_labels().tolist() == [NEUTRAL, HAPPINESS]


def test_a_table_of_other_names(root):
    (root / 'fer2013_labels.csv').write_text('name,label\n0.png,anger\n')
    with pytest.raises(ValueError, match=r'of none of the 17 faces of FER2013Train/label.csv: .* fer0000000.png'):
        FERPlus(str(root), observed='fer2013')


@pytest.mark.skipif(
    not all(os.path.exists(f'data/ferplus/{file}') for file in ('FER2013Train/label.csv', 'fer2013_labels.csv')),
    reason='data/ferplus is not there',
)
@pytest.mark.parametrize(
    ('split', 'faces', 'known', 'wrong', 'as_sad'),
    [('train', 27850, 24340, 7770, 2058), ('val', 3519, 3119, 1018, 314), ('test', 3493, 3048, 983, 269)],
)
def test_human_noise_as_it_was_counted(split, faces, known, wrong, as_sad):
    """With the faces whose majority is contempt, 119 in training, 32.3 % of 24,459 differ."""
    dataset = FERPlus('data/ferplus', split=split, observed='fer2013')
    label, clean = dataset.get_gt_labels(), dataset.get_clean_labels()
    assert (len(dataset), (clean >= 0).sum()) == (faces, known)
    assert (label != clean)[clean >= 0].sum() == wrong
    assert ((clean == NEUTRAL) & (label == SADNESS)).sum() == as_sad
    if split == 'train':
        assert round(100 * (wrong + 119) / (known + 119), 1) == 32.3
