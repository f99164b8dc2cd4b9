"""Manifests: what is written is read, what does not fit is refused, and the bits are those of any other machine."""

import hashlib
from pathlib import Path

import numpy as np
import pytest

from mmfer.datasets import SyntheticFaces
from mmfer.datasets.columns import add_noise
from mmfer.datasets.labels.manifest_labels import labels_from
from mmfer.datasets.labels.noise import instance_noise, noisy_labels
from mmfer.datasets.labels.noise_manifest import NoiseManifest, read_manifest
from mmfer.datasets.labels.schema import ORDERS

CLASSES = ORDERS['rafdb']
NAMES = [f'train_{i:05d}_aligned.jpg' for i in range(1, 1001)]
CLEAN = np.arange(1000) ** 2 % 7  # no random number, which would have to be trusted, too


def made(kind: str) -> NoiseManifest:
    if kind == 'instance':
        # Quotients of small whole numbers, which are the same everywhere.
        weights = 1 + np.arange(7000).reshape(1000, 7) ** 2 % 11
        noisy = instance_noise(CLEAN, weights / weights.sum(1, keepdims=True), 0.3, seed=0)
    elif kind == 'matrix':
        matrix = (np.eye(7) + np.roll(np.eye(7), 2, axis=1) * 3) / 4
        noisy = noisy_labels(CLEAN, CLASSES, 'asymmetric', 0.3, 0, matrix)
    else:
        noisy = noisy_labels(CLEAN, CLASSES, kind, 0.3, seed=0)
    return NoiseManifest(NAMES, CLEAN, noisy, CLASSES, dict(kind=kind, rate=0.3, seed=0))


@pytest.fixture
def path(tmp_path) -> str:
    made('symmetric').write(str(tmp_path / 'new' / 'noise.csv'))
    return str(tmp_path / 'new' / 'noise.csv')


@pytest.mark.parametrize(
    ('kind', 'digest'),
    [
        ('symmetric', '085981179d4eebedfd467944e8a385621fa0dac60031a768822a6c098db1a75e'),
        ('asymmetric', '1e60d7b14a417bbca44861872da06a37609fa3b04563553a8e155f6a04f33a60'),
        ('matrix', 'f309ebb6dcc84c5b1a5883656d72a954eee93d19b88490541e0f1cd2f68cb8f6'),
        ('instance', '3c986c96d528684795bef70e9f6fd657b5d2c75d3a64722c1425067aa2093d27'),
    ],
)
def test_the_bits_are_those_of_any_other_machine(kind, digest):
    assert made(kind).sha256 == digest


def test_the_file_says_what_the_noise_is_and_hashes_as_the_shell_does(path):
    lines = Path(path).read_text().split('\n')
    header = [line for line in lines if line.startswith('#')]
    rows = ''.join(f'{line}\n' for line in lines[:-1] if not line.startswith('#'))  # grep -v '^#'
    noisy = noisy_labels(CLEAN, CLASSES, 'symmetric', 0.3)
    assert rows.split('\n')[:2] == ['name,clean,noisy', f'{NAMES[0]},{CLASSES[CLEAN[0]]},{CLASSES[noisy[0]]}']
    assert rows.count('\n') == 1001
    assert header[:4] == ['# mmfer label noise manifest, version 1', '# kind: symmetric', '# rate: 0.3', '# seed: 0']
    changed = int((noisy != CLEAN).sum())
    assert header[4] == f'# realised: {changed / 10:.2f} % ({changed} of 1,000)'
    fear = CLEAN == 1
    wrong = int((noisy != CLEAN)[fear].sum())
    assert f'fear {100 * wrong / fear.sum():.2f} % ({wrong} of {fear.sum()})' in header[5]
    assert header[-1] == f'# sha256: {hashlib.sha256(rows.encode()).hexdigest()}'
    assert not list(Path(path).parent.glob('*.part'))


def test_what_was_written_is_read(path):
    again = read_manifest(path)
    noise = made('symmetric')
    assert again.names == NAMES
    assert tuple(again.classes) == CLASSES
    assert np.array_equal(again.clean, CLEAN)
    assert np.array_equal(again.noisy, noise.noisy)
    assert again.made == dict(kind='symmetric', rate='0.3', seed='0')
    again.write(f'{path}.again')
    assert Path(path).read_bytes() == Path(f'{path}.again').read_bytes()


def test_line_ends_and_marks_of_editors_do_no_harm(path):
    text = Path(path).read_text()
    Path(path).write_bytes(b'\xef\xbb\xbf' + text.replace('\n', '\r\n').encode())
    assert np.array_equal(read_manifest(path).noisy, made('symmetric').noisy)


def test_names_may_have_commas_quotes_blanks_and_any_letters(tmp_path):
    names = ['a, b.jpg', 'say "cheese".jpg', 'größe 表情.jpg', '#1.jpg', ' a.jpg']
    NoiseManifest(names, CLEAN[:5], CLEAN[1:6], CLASSES).write(str(tmp_path / 'x.csv'))
    assert read_manifest(str(tmp_path / 'x.csv')).names == names
    for name in ('a\nb.jpg', 'no UTF-8 \udcff.jpg'):
        with pytest.raises(ValueError, match='must be one line of text in UTF-8; rename the image'):
            NoiseManifest([name], CLEAN[:1], CLEAN[:1], CLASSES).write(str(tmp_path / 'y.csv'))
    assert not (tmp_path / 'y.csv').exists()


def test_classes_are_matched_by_name(path):
    classes = ('Neutral', 'happy', 'sad', 'surprised', 'fear', 'disgust', 'angry')
    order = np.array(
        [classes.index(name) for name in ('surprised', 'fear', 'disgust', 'happy', 'sad', 'angry', 'Neutral')]
    )
    assert np.array_equal(labels_from(path, NAMES, order[CLEAN], classes), order[made('symmetric').noisy])


def spoil(path: str, before: str, after: str) -> None:
    text = Path(path).read_text()
    assert before in text
    Path(path).write_text(text.replace(before, after, 1))


@pytest.mark.parametrize(
    ('before', 'after', 'message'),
    [
        (
            '00007_aligned.jpg,fear',
            '00007_aligned.jpg,anger',
            r'rows of .* were changed after it was made: their sha256',
        ),
        ('train_00999_aligned.jpg', 'train_01999_aligned.jpg', 'published, or make it again'),
        ('# sha256', '# no hash', 'is no label noise manifest'),
        ('# mmfer', '# other', "would begin with '# mmfer label noise manifest, version 1'"),
    ],
)
def test_spoilt_files_are_refused(path, before, after, message):
    Path(path).write_text(Path(path).read_text())
    spoil(path, before, after)
    with pytest.raises(ValueError, match=message):
        read_manifest(path)


def test_a_file_that_is_none_and_one_that_is_not_there(tmp_path):
    (tmp_path / 'noise02.txt').write_text('train_00001.jpg 5\n')
    with pytest.raises(ValueError, match='is no label noise manifest.*--import LIST'):
        read_manifest(str(tmp_path / 'noise02.txt'))
    with pytest.raises(FileNotFoundError, match='there is no label noise manifest .*x.csv; make one with python'):
        read_manifest(str(tmp_path / 'x.csv'))


def test_other_data_are_refused(path):
    swapped = [NAMES[1], NAMES[0], *NAMES[2:]]
    with pytest.raises(ValueError, match=r'other faces: row 1 is train_00001_aligned.jpg there and train_00002_align'):
        labels_from(path, swapped, CLEAN, CLASSES)
    with pytest.raises(ValueError, match='the noise of 1,000 faces, the training set has 999'):
        labels_from(path, NAMES[1:], CLEAN[1:], CLASSES)
    other = CLEAN.copy()
    other[[4, 9]] = (CLEAN[[4, 9]] + 1) % 7
    with pytest.raises(ValueError, match='other labels, of 2 faces: train_00005_aligned.jpg is disgust there and happ'):
        labels_from(path, NAMES, other, CLASSES)
    with pytest.raises(ValueError, match='has the classes .* the data set .*contempt'):
        labels_from(path, NAMES, CLEAN, (*CLASSES, 'contempt'))


def faces(**settings) -> SyntheticFaces:
    data = SyntheticFaces(num=60, size=16, cache_dir=None, **settings)
    data.full_init()
    return data


def test_a_dataset_trains_with_it_whichever_rows_it_leaves_out(tmp_path):
    clean, file = faces(), str(tmp_path / 'noise.csv')
    label = clean.get_gt_labels()
    noisy = noisy_labels(label, CLASSES, 'symmetric', 0.4, seed=3)
    NoiseManifest(clean.columns['name'].tolist(), label, noisy, CLASSES).write(file)
    noise = dict(kind='manifest', file=file)
    read = faces(label_noise=noise)
    assert (noisy != label).sum() > 10
    assert np.array_equal(read.columns['label'], noisy)
    assert np.array_equal(read.columns['clean_label'], label)
    assert read.fingerprint() == faces(label_noise=dict(kind='symmetric', rate=0.4, seed=3)).fingerprint()
    parts = [faces(label_noise=noise, indices=[50, 3]), faces(label_noise=noise, holdout=dict(fraction=0.3, seed=1))]
    of = dict(zip(clean.columns['name'].tolist(), noisy.tolist(), strict=True))
    for part in parts:
        assert part.columns['label'].tolist() == [of[name] for name in part.columns['name'].tolist()]
    assert len(parts[1]) < 50


def test_the_test_split_is_never_touched(path):
    for split in ('test', 'val'):
        with pytest.raises(ValueError, match=f"label_noise is for split='train' only, got split='{split}'"):
            faces(split=split, holdout=dict(fraction=0.1), label_noise=dict(kind='manifest', file=path))


def test_votes_do_not_give_a_manifest_away_and_older_truths_stay(path):
    columns = dict(
        name=np.array(NAMES), label=CLEAN, score=np.eye(7, dtype=np.float32)[CLEAN], clean_label=np.full(1000, -1)
    )
    noisy = add_noise(columns, CLASSES, kind='manifest', file=path)
    assert 'score' not in noisy
    assert (noisy['clean_label'] == -1).all()
    assert np.array_equal(noisy['label'], made('symmetric').noisy)


@pytest.mark.parametrize('settings', [dict(file='x.csv', rate=0.3, seed=0), dict()])
def test_a_rate_beside_a_manifest_is_refused(settings):
    with pytest.raises(ValueError, match=r'takes file and nothing else.*label_noise=dict\(_delete_=True'):
        add_noise(dict(name=np.array(NAMES), label=CLEAN), CLASSES, kind='manifest', **settings)


def with_hash(path: str, header: dict[str, str], rows: str) -> None:
    """A manifest whose hash is right, whatever else is not."""
    digest = hashlib.sha256(rows.encode()).hexdigest()
    lines = ['# mmfer label noise manifest, version 1', *(f'# {key}: {value}' for key, value in header.items())]
    Path(path).write_text('\n'.join([*lines, f'# sha256: {digest}', rows]))


@pytest.mark.parametrize(
    ('rows', 'sentence'),
    [
        ('a.jpg,x\n', r"noise\.csv:5: 'a\.jpg,x' \(no name and two classes of the header\)"),
        ('a.jpg,x,y\nb.jpg,x,z\n', r"has 1 bad line; (.|\n)*noise\.csv:6: 'b\.jpg,x,z'"),
        ('a.jpg,x,y\n\n', r"noise\.csv:6: ''"),
        ('a.jpg,x,y\n"b.jpg,x,y\n"\n', r'noise\.csv:6: a cell runs over the end of its line'),
    ],
)
def test_rows_that_are_none_are_named_though_the_hash_is_theirs(path, rows, sentence):
    with_hash(path, dict(classes='["x", "y"]'), f'name,clean,noisy\n{rows}')
    with pytest.raises(ValueError, match=sentence):
        read_manifest(path)


@pytest.mark.parametrize('classes', ['[' * 5000, '{"x": 1}', '[1, 2]', '["x", "x"]', '[]', '"x"', '9' * 5000, ''])
def test_classes_that_are_no_list_of_names(path, classes):
    with_hash(path, dict(kind='k', classes=classes), 'name,clean,noisy\na.jpg,x,y\n')
    with pytest.raises(ValueError, match=r"header's classes of .*noise\.csv (are no list of names|have a name twice)"):
        read_manifest(path)
