import numpy as np
import pytest

from mmfer.datasets.columns import (
    add_noise,
    check_columns,
    check_labels,
    map_classes,
)
from mmfer.datasets.labels.noise_manifest import NoiseManifest
from mmfer.datasets.labels.schema import ORDERS
from mmfer.datasets.landmarks.landmark_file import add_landmarks


def rows(label, **others):
    label = np.asarray(label)
    return dict(name=np.array([f'{i}.jpg' for i in range(len(label))]), label=label, **others)


def test_classes_are_mapped_by_name_with_votes_and_clean_labels():
    score = np.zeros((3, 8), np.float32)
    score[0, :3], score[1, [3, 7]], score[2, 7] = [0.5, 0.25, 0.25], [0.75, 0.25], 1
    columns = rows([0, 3, 7], clean_label=np.array([1, -1, 7]), score=score)
    mapped = map_classes(columns, ORDERS['affectnet8'], ORDERS['rafdb'], drop=['contempt'])
    names = ORDERS['rafdb']
    assert mapped['name'].tolist() == ['0.jpg', '1.jpg']
    assert [names[i] for i in mapped['label']] == ['neutral', 'surprise']
    assert mapped['clean_label'].tolist() == [names.index('happiness'), -1]
    votes = [{names[i]: float(s) for i, s in enumerate(row) if s} for row in mapped['score']]
    assert votes == [dict(neutral=0.5, happiness=0.25, sadness=0.25), dict(surprise=1.0)]
    assert columns['label'].tolist() == [0, 3, 7]


def test_where_all_votes_were_for_a_class_that_is_left_out_the_label_is_the_vote():
    score = np.zeros((1, 8), np.float32)
    score[0, 7] = 1
    mapped = map_classes(rows([1], score=score), ORDERS['affectnet8'], ORDERS['rafdb'], drop=['contempt'])
    assert mapped['score'].tolist() == [np.eye(7)[ORDERS['rafdb'].index('happiness')].tolist()]


@pytest.mark.parametrize('label', [-1, 3])
def test_a_label_that_is_no_class_is_refused(label):
    sentence = rf'Mine gives 1 faces a label that is no class, first 1.jpg the label {label}: its 3 classes are 0 to 2'
    with pytest.raises(ValueError, match=sentence):
        check_labels(rows([0, label, 2]), 'abc', 'Mine')
    check_labels(rows([0, 1, 2]), 'abc', 'Mine')


@pytest.mark.parametrize(
    'broken', [dict(landmark_score=np.zeros(2, np.float32)), dict(landmarks=np.full((2, 68, 2), np.nan, np.float32))]
)
def test_landmarks_for_no_face_at_all_are_refused(broken):
    columns = rows([0, 1], landmarks=np.ones((2, 68, 2), np.float32))
    assert add_landmarks(columns, None)['landmark_valid'].all()
    with pytest.raises(ValueError, match=r'the data set has landmarks for none of the 2 faces .* landmarks=None'):
        add_landmarks(columns | broken, None)


def test_equal_classes_change_nothing():
    columns = rows([0, 1])
    assert map_classes(columns, ORDERS['rafdb'], ORDERS['rafdb']) is columns
    assert map_classes(columns, (), ('a', 'b')) is columns


def test_noise_keeps_the_clean_label_and_drops_the_votes():
    columns = rows(np.arange(700) % 7, score=np.ones((700, 7), np.float32))
    noisy = add_noise(columns, ORDERS['rafdb'], kind='symmetric', rate=0.3)
    assert set(noisy) == {'name', 'label', 'clean_label'}
    assert np.array_equal(noisy['clean_label'], columns['label'])
    assert 0.2 < (noisy['label'] != columns['label']).mean() < 0.4
    # More noise on top does not make the first noise the truth.
    again = add_noise(noisy, ORDERS['rafdb'], kind='symmetric', rate=0.3, seed=1)
    assert np.array_equal(again['clean_label'], columns['label'])


def test_a_format_must_deliver_equal_columns():
    with pytest.raises(ValueError, match='different lengths'):
        check_columns(rows([0, 1], clean_label=np.zeros(3, int)))
    with pytest.raises(ValueError, match='only'):
        check_columns(dict(label=np.zeros(2, int)))
    assert check_columns(rows(np.zeros(2, np.uint8)))['label'].dtype == np.int64


def test_corrections_are_labels_of_which_none_is_known_to_be_right(tmp_path):
    path, classes = str(tmp_path / 'x.csv'), ('a', 'b')
    before, after = np.array([0, 0, 1]), np.array([0, 1, 1])
    columns = rows(before, score=np.eye(2)[before])
    NoiseManifest(columns['name'].tolist(), before, after, classes, dict(kind='corrections')).write(path)
    corrected = add_noise(columns, classes, 'corrections', file=path)
    assert corrected['label'].tolist() == [0, 1, 1]
    assert corrected['clean_label'].tolist() == [-1, -1, -1]
    assert 'score' not in corrected
    assert add_noise(columns, classes, 'manifest', file=path)['clean_label'].tolist() == [0, 0, 1]
    known = dict(columns, clean_label=np.array([1, 1, 1]))
    assert add_noise(known, classes, 'corrections', file=path)['clean_label'].tolist() == [1, 1, 1]
    with pytest.raises(ValueError, match="kind='corrections' takes file and nothing else .*, got file, rate"):
        add_noise(columns, classes, 'corrections', file=path, rate=0.1)
