"""tools/predict.py: the deployed network's own probabilities, in batches, for pictures as they come."""

import csv
import shutil
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
import torch
from detectors.drawn import scene
from mmengine.config import Config
from mmengine.registry import MODELS, DefaultScope
from mmpretrain.models import ImageClassifier
from tools.conftest import load_tool

from mmfer.apis import FacePredictor, find_pictures, predict_pictures, read_config
from mmfer.apis.data.alignment import FoundFace
from mmfer.datasets.images.pictures import read_picture
from mmfer.detectors.dlib_package import has_dlib

NAMES = ['surprise', 'fear', 'disgust', 'happiness', 'sadness', 'anger', 'neutral']


def read_table(path):
    with open(path, newline='') as stream:
        return list(csv.DictReader(stream))


def options_of(run):
    return dict(option.split('=', 1) for option in run.options[1:])


@pytest.fixture
def predict(run, tools, tmp_path, capsys):
    def call(source, *more):
        arguments = [str(source), '--config', run.config, '--checkpoint', str(run.checkpoint), '--out', str(tmp_path)]
        code = 0
        try:
            tools.predict([*arguments, *more, *run.options])
        except SystemExit as stop:
            code = stop.code
        said = capsys.readouterr()
        table = tmp_path / 'predictions.csv'
        return SimpleNamespace(
            code=code, out=said.out, err=said.err, rows=read_table(table) if table.exists() else [], folder=tmp_path
        )

    return call


@pytest.fixture
def predictor(run):
    cfg = read_config(run.config)
    cfg.merge_from_dict(
        {
            'model.backbone.base_channels': 8,
            'model.backbone.stem_channels': 8,
            'model.head.in_channels': 64,
            'data_preprocessor.size': 32,
            'test_dataloader.dataset.pipeline.0.size': 32,
        }
    )
    return FacePredictor(cfg, run.checkpoint, device='cpu', batch_size=5)


def test_a_folder_gets_the_probabilities_that_testing_finds(predict, run, tools, tmp_path):
    folder = tmp_path / 'faces'
    folder.mkdir()
    for face in run.faces.glob('test_*'):
        shutil.copy(face, folder)
    seen = predict(folder, '--batch-size', '4')
    tools.test([run.config, str(run.checkpoint), '--work-dir', str(tmp_path / 'test'), *run.options])
    tested = {row['name']: row for row in read_table(tmp_path / 'test' / 'predictions.csv')}
    assert len(seen.rows) == 14
    for row in seen.rows:
        other = tested[row['image'].rsplit('/', 1)[1]]
        assert row['predicted'] == other['predicted']
        np.testing.assert_allclose([float(row[n]) for n in NAMES], [float(other[n]) for n in NAMES], atol=2e-6)
    assert (seen.folder / 'sheet_01.png').is_file()
    assert f'table: {seen.folder / "predictions.csv"}' in seen.out


def test_one_picture_is_printed_with_all_its_probabilities(predict, run):
    face = run.faces / 'test_00001_aligned.jpg'
    seen = predict(face)
    (row,) = seen.rows
    best = max(NAMES, key=lambda name: float(row[name]))
    line = seen.out.splitlines()[0]
    assert line.startswith(f'test_00001_aligned.jpg: {best} {100 * float(row[best]):.1f} %')
    assert all(name in line for name in NAMES)
    assert (seen.folder / 'test_00001_aligned_predicted.png').read_bytes().startswith(b'\x89PNG')


def test_what_cannot_be_read_is_named_and_counted(predict, run, tmp_path):
    folder = tmp_path / 'mixed'
    (folder / 'deeper').mkdir(parents=True)
    shutil.copy(run.faces / 'test_00001_aligned.jpg', folder / 'deeper' / 'ok.JPG')
    (folder / 'broken.png').write_bytes(b'no picture')
    (folder / 'empty.jpg').touch()
    (folder / 'notes.txt').write_text('not meant')
    seen = predict(folder)
    assert seen.code == 0
    assert [row['image'] for row in seen.rows] == [str(folder / 'deeper' / 'ok.JPG')]
    assert f'skipped {folder / "broken.png"}: cannot be read as a picture' in seen.out
    assert f'skipped {folder / "empty.jpg"}: cannot be read as a picture' in seen.out
    assert '2 of 3 pictures skipped' in seen.out


ODD = '=\x1b[2J\u202egnp\nnext: rm.jpg'


def test_names_have_no_hold_on_the_terminal_or_a_spreadsheet(predict, run, tmp_path):
    (tmp_path / 'in').mkdir()
    shutil.copy(run.faces / 'test_00001_aligned.jpg', tmp_path / 'in' / ODD)
    (tmp_path / 'in' / f'{ODD}.png').write_bytes(b'')
    done = predict(tmp_path / 'in')
    assert done.code == 0
    assert '\n=\\x1b[2J\\u202egnp\\nnext: rm.jpg: ' in '\n' + done.out
    assert 'skipped ' in done.out
    assert not set(done.out + done.err) & {'\x1b', '\u202e'}
    assert not any(line.startswith('next: rm') for line in done.out.splitlines())
    assert [row['image'] for row in done.rows] == [str(tmp_path / 'in' / ODD)]
    assert [row['image'] for row in predict(tmp_path / 'in' / ODD).rows] == [str(tmp_path / 'in' / ODD)]


@pytest.mark.parametrize('name', ['a' * 251 + '.jpg', 'ä' * 125 + '.jpg'])
def test_the_longest_names_are_drawn_too(name, predict, run, tmp_path):
    (tmp_path / 'in').mkdir()
    shutil.copy(run.faces / 'test_00001_aligned.jpg', tmp_path / 'in' / name)
    done = predict(tmp_path / 'in' / name)
    assert done.code == 0
    assert len(list(tmp_path.glob('*_predicted.png'))) == 1


@pytest.mark.parametrize(
    ('make', 'sentence'),
    [
        (lambda folder: folder / 'absent.jpg', 'there is no picture or folder'),
        (lambda folder: folder, 'has no image (looked for'),
        (lambda folder: [(folder / 'a.png').write_bytes(b'x'), folder][1], 'none of the 1 pictures'),
    ],
)
def test_nothing_to_predict_is_an_error(make, sentence, predict, tmp_path):
    (tmp_path / 'in').mkdir()
    seen = predict(make(tmp_path / 'in'))
    assert seen.code == 1
    assert seen.err.splitlines()[-1].startswith('mmfer: error: ')
    assert sentence in seen.err


def test_only_the_first_sheets_are_drawn_and_that_is_said(predict, run, monkeypatch):
    seen = predict(run.faces, '--sheets', '1')
    assert len(seen.rows) == 42
    assert sorted(path.name for path in seen.folder.glob('sheet_*')) == ['sheet_01.png']
    assert '(the first 32 of 42 faces)' in seen.out
    assert '... 42 faces in all: ' in seen.out


def test_faces_go_through_the_network_in_batches(predictor, run, monkeypatch):
    sizes = []
    forward = predictor.model.backbone.forward
    monkeypatch.setattr(predictor.model.backbone, 'forward', lambda x: (sizes.append(len(x)), forward(x))[1])
    paths = sorted(run.faces.glob('test_*'))[:12]
    predictions = list(predict_pictures(predictor, paths))
    assert sizes == [5, 5, 2]
    assert [prediction.path for prediction in predictions] == paths
    alone = [predictor([cv2.imread(str(path))])[0] for path in paths]
    np.testing.assert_allclose([p.score for p in predictions], alone, atol=1e-6)


def test_photos_of_any_size_and_kind_are_taken(predictor):
    rng = np.random.default_rng(0)
    photos = [rng.integers(0, 255, (*size, 3), dtype=np.uint8) for size in ((32, 32), (400, 300), (1, 7))]
    scores = predictor(photos)
    assert scores.shape == (3, 7)
    np.testing.assert_allclose(scores.sum(1), 1, atol=1e-5)
    assert predictor([]).shape == (0, 7)


def test_grey_transparent_and_oddly_named_pictures_are_read(tmp_path):
    ramp = np.tile(np.arange(32, dtype=np.uint8) * 8, (32, 1))
    cv2.imwrite(str(tmp_path / 'grey.png'), ramp)
    cv2.imencode('.png', np.dstack([ramp, ramp, ramp, ramp]))[1].tofile(tmp_path / 'dürchsichtig 1.PNG')
    for path in find_pictures(tmp_path):
        image = read_picture(str(path))
        assert image.shape == (32, 32, 3)
        np.testing.assert_array_equal(image[..., 0], ramp)


def test_the_network_is_the_deployed_one_alone(predictor, run):
    assert predictor.model.supervision is None
    assert not any(module._forward_hooks for module in predictor.model.modules())
    assert predictor.classes == NAMES
    # The same weights in a stock classifier give the same logits.
    cfg = Config.fromfile(run.config)
    stock = dict(
        type='ImageClassifier',
        backbone=dict(cfg.model.backbone, base_channels=8, stem_channels=8),
        neck=cfg.model.neck,
        head=dict(cfg.model.head, in_channels=64),
    )
    with DefaultScope.overwrite_default_scope('mmpretrain'):
        stock = MODELS.build(stock).eval()
    assert type(stock) is ImageClassifier
    stock.load_state_dict(predictor.model.state_dict(), strict=True)
    faces = torch.rand(3, 3, 32, 32)
    with torch.inference_mode():
        # Not bitwise: oneDNN rounds by where in memory a weight happens to lie.
        torch.testing.assert_close(predictor.model(faces), stock(faces), rtol=0, atol=1e-6)


def test_faces_of_a_photo_get_a_row_each_with_their_box(predictor, tmp_path):
    rng = np.random.default_rng(1)
    crops = rng.integers(0, 255, (3, 40, 40, 3), dtype=np.uint8)
    for name in ('two.png', 'none.png', 'one.png'):
        cv2.imwrite(str(tmp_path / name), np.zeros((50, 60, 3), np.uint8) + len(name))
    found = {8: [], 7: [FoundFace(crops[0], (1, 2, 3, 4)), FoundFace(crops[1], (5, 6, 7, 8))]}
    photos = iter([found[8], found[7][:1], found[7]])  # none, one, two: in order of name
    skipped = []
    predictions = list(predict_pictures(predictor, find_pictures(tmp_path), lambda image: next(photos), skipped))
    assert [(p.path.name, p.face, p.box) for p in predictions] == [
        ('one.png', 0, (1, 2, 3, 4)),
        ('two.png', 0, (1, 2, 3, 4)),
        ('two.png', 1, (5, 6, 7, 8)),
    ]
    np.testing.assert_allclose(predictions[2].score, predictor([crops[1]])[0], atol=1e-6)
    assert skipped == [(tmp_path / 'none.png', 'no face found')]


def test_align_without_weights_ends_as_one_sentence(predict, run, tmp_path, monkeypatch):
    def no_network(*args, **kwargs):
        raise OSError('no route to host')

    monkeypatch.setattr(torch.hub, '_hub_dir', str(tmp_path))
    monkeypatch.setattr(torch.hub, 'download_url_to_file', no_network)
    seen = predict(run.faces / 'test_00001_aligned.jpg', '--align', '--detector', 'mmfer.FaceAlignmentDetector')
    assert seen.code == 1
    line = seen.err.splitlines()[-1]
    assert line.startswith('mmfer: error: finding faces needs the weights')
    assert line.endswith('leave --align out')
    assert str(tmp_path / 'checkpoints') in line


@pytest.mark.skipif(not has_dlib(), reason='dlib and its models are not installed')
def test_faces_of_a_photo_without_a_download(predict, tmp_path, monkeypatch):
    monkeypatch.setattr(torch.hub, '_hub_dir', str(tmp_path))
    photo, _ = scene([(30, 20), (300, 40), (60, 280), (420, 250)], [80, 120, 150, 100], (480, 640))
    cv2.imwrite(str(tmp_path / 'photo.png'), photo[..., ::-1])
    seen = predict(tmp_path / 'photo.png', '--align')
    assert seen.code == 0
    lines = seen.out.splitlines()
    assert lines[0] == "faces and landmarks by dlib, as the face-alignment package's weights are not here"
    assert sum(line.startswith('photo.png #') for line in lines) == 4


def test_detectors_are_for_photos(run, capsys):
    with pytest.raises(SystemExit):
        load_tool('predict').parse_args(['x.png', '--checkpoint', 'x.pth', '--face-detector', 'sfd'])
    assert '--detector and --face-detector go with --align' in capsys.readouterr().err


# --- photos that are no aligned face ---


def mosaic(run, rows: int, columns: int) -> np.ndarray:
    """Several people in one photo."""
    face = cv2.imread(str(run.faces / 'test_00001_aligned.jpg'))  # 32 x 32, as all of training
    return np.tile(face, (rows, columns, 1))


def test_a_photo_of_several_people_is_not_guessed(predict, run, tmp_path):
    cv2.imwrite(str(tmp_path / 'group.png'), mosaic(run, 1, 3))
    seen = predict(tmp_path / 'group.png')
    assert seen.code == 1
    assert seen.rows == []
    assert seen.err.splitlines()[-1].startswith(
        'mmfer: error: none of the 1 pictures of '
        f'{tmp_path / "group.png"} could be predicted; the first: it is 96 x 32 pixels and the faces of training were '
        '32 x 32, so it seems to be a photo and no aligned face: find its faces with --align, or, if it is one aligned '
        'face, say --aligned'
    )


def test_photos_in_a_folder_are_skipped_and_named(predict, run, tmp_path):
    folder = tmp_path / 'mixed'
    folder.mkdir()
    shutil.copy(run.faces / 'test_00001_aligned.jpg', folder / 'face.jpg')
    cv2.imwrite(str(folder / 'wide.png'), mosaic(run, 3, 4))  # 4 : 3
    cv2.imwrite(str(folder / 'huge.png'), mosaic(run, 5, 5))
    seen = predict(folder)
    assert [row['image'] for row in seen.rows] == [str(folder / 'face.jpg')]
    assert f'skipped {folder / "wide.png"}: it is 128 x 96 pixels and the faces of training were 32 x 32' in seen.out
    assert f'skipped {folder / "huge.png"}: it is 160 x 160 pixels' in seen.out
    assert 'no detector was asked: each picture was taken as one aligned face (of photos: --align)\n' in seen.out


def test_a_larger_picture_is_predicted_and_told_of(predict, run, tmp_path):
    cv2.imwrite(str(tmp_path / 'group.png'), mosaic(run, 2, 2))
    seen = predict(tmp_path / 'group.png')
    assert len(seen.rows) == 1
    assert (
        'each picture was taken as one aligned face (of photos: --align); 1 of them is larger than the faces of '
        f'training (32 x 32), first {tmp_path / "group.png"} (64 x 64): of a photo the labels above mean nothing'
    ) in seen.out


def test_who_knows_that_they_are_aligned_says_so(predict, run, tmp_path):
    cv2.imwrite(str(tmp_path / 'wide.png'), mosaic(run, 1, 3))
    seen = predict(tmp_path / 'wide.png', '--aligned')
    assert len(seen.rows) == 1
    assert 'no detector' not in seen.out


def test_faces_that_were_found_are_not_doubted(predictor, run, tmp_path):
    cv2.imwrite(str(tmp_path / 'group.png'), mosaic(run, 1, 3))
    face = cv2.imread(str(run.faces / 'test_00001_aligned.jpg'))
    predictions = list(
        predict_pictures(
            predictor, [tmp_path / 'group.png'], lambda _: [FoundFace(face, (i, 0, 1, 1)) for i in range(3)]
        )
    )
    assert [prediction.face for prediction in predictions] == [0, 1, 2]


def test_a_checkpoint_that_does_not_know_its_faces_says_so(predict, run, tmp_path, monkeypatch):
    content = torch.load(run.checkpoint, weights_only=True)
    del content['meta']['training_faces']
    torch.save(content, tmp_path / 'old.pth')
    monkeypatch.setattr(run, 'checkpoint', tmp_path / 'old.pth')
    cv2.imwrite(str(tmp_path / 'wide.png'), mosaic(run, 1, 3))
    seen = predict(tmp_path / 'wide.png')
    assert len(seen.rows) == 1
    assert 'taken as one aligned face (of photos: --align); the checkpoint does not say what those of its' in seen.out


# --- faces in memory ---


def test_a_face_in_floats_is_refused_and_a_grey_one_taken(predictor, run):
    face = cv2.imread(str(run.faces / 'test_00001_aligned.jpg'))
    with pytest.raises(ValueError, match='must be uint8 .* give .image . 255..round'):
        predictor([face / 255])
    with pytest.raises(ValueError, match='give a list of faces'):
        predictor(face)
    grey = face[..., 0]
    np.testing.assert_array_equal(predictor([grey]), predictor([np.dstack([grey] * 3)]))
    np.testing.assert_allclose(predictor(np.stack([face, face]))[1], predictor([face])[0], atol=1e-6)
