"""tools/dataset_tools/browse.py shows what a run's network gets: the very pictures, landmarks and heatmaps."""

import cv2
import numpy as np
import pytest
import torch
from miniature import make_rafdb
from tools.conftest import CONFIG, ROOT, load_tool, small

from mmfer.apis.data.browsing import training_faces
from mmfer.models.losses import landmark_heatmap
from mmfer.models.preprocessing.data_preprocessor import FaceDataPreprocessor


@pytest.fixture
def words(tmp_path) -> list[str]:
    """Options for 28 faces of 32 px in batches of 8, two of them without landmarks."""
    root = make_rafdb(tmp_path / 'data', per_class=4, size=32, test_per_class=2)
    with np.load(f'{root}/landmarks68.npz') as rows:
        rows = dict(rows)
    rows['score'][[3, 8]] = 0
    np.savez(f'{root}/landmarks68.npz', **rows)
    noise = [
        f'train_dataloader.dataset.label_noise.{key}={value}'
        for key, value in dict(kind='symmetric', rate=0.5, seed=0).items()
    ]
    return [*small(root), *noise, 'data_preprocessor.size=64']


def test_they_are_the_faces_of_a_run(tools, words, tmp_path, monkeypatch):
    batches, targets = [], []
    prepare, heatmaps = FaceDataPreprocessor.forward, landmark_heatmap.gaussian_heatmaps

    def recording(self, data, training=False):
        out = prepare(self, data, training)
        if training:
            batches.append((out['inputs'].clone(), out['data_samples']))
        return out

    with monkeypatch.context() as patch:
        patch.setattr(FaceDataPreprocessor, 'forward', recording)
        patch.setattr(
            landmark_heatmap, 'gaussian_heatmaps', lambda *args: targets.append(heatmaps(*args)) or targets[-1]
        )
        tools.train([CONFIG, '--work-dir', str(tmp_path / 'run'), '--seed', '3', *words])
    cfg = tools.configure([CONFIG, '--seed', '3', *words])
    for epoch in (0, 1):
        seen = training_faces(cfg, faces=20, epoch=epoch)
        assert len(seen.faces) == 20
        assert seen.classes == ('surprise', 'fear', 'disgust', 'happiness', 'sadness', 'anger', 'neutral')
        inputs, annotations = zip(*batches[3 * epoch : 3 * epoch + 3], strict=True)  # 28 faces fill three batches of 8
        inputs, target = torch.cat(inputs), torch.cat(targets[3 * epoch : 3 * epoch + 3])
        samples = [sample for batch in annotations for sample in batch]
        for face, image, sample, maps in zip(seen.faces, inputs, samples, target, strict=False):
            for channel, (mean, std) in enumerate(zip((0.5412, 0.4324, 0.3795), (0.2485, 0.2182, 0.2066), strict=True)):
                there = (image[channel].numpy() * std + mean) * 255
                assert np.abs(face.picture[..., channel] - there.clip(0, 255)).max() <= 0.51
            assert (face.label, face.row) == (int(sample.gt_label), sample.sample_idx)
            assert face.clean == sample.clean_label
            if not sample.landmark_valid:
                assert face.points is face.heatmap is None
                continue
            np.testing.assert_array_equal(face.points, sample.landmarks.numpy())
            cells = face.heatmap.reshape(16, 4, 16, 4)[:, 1:3, :, 1:3].mean((1, 3))  # as large as a map is
            np.testing.assert_allclose(cells, maps.amax(0).numpy(), atol=0.25)
            assert np.corrcoef(cells.ravel(), maps.amax(0).ravel())[0, 1] > 0.97
        assert 0 < sum(face.points is None for face in seen.faces) < 5
        assert any(face.clean != face.label for face in seen.faces)
    other = training_faces(cfg, faces=8, epoch=1, seed=4).faces
    assert [face.row for face in other] != [face.row for face in seen.faces[:8]]


def test_the_tool_draws_a_face_and_its_heatmaps(words, tmp_path, capsys):
    tool, out = load_tool('dataset_tools/browse'), tmp_path / 'b.png'
    tool.main([CONFIG, '--faces', '3', '--out', str(out), *words])
    said = capsys.readouterr().out
    assert f'picture: {out}\nnext: python tools/train.py {CONFIG}' in said
    wide = cv2.imread(str(out)).shape[1]
    tool.main([CONFIG, '--faces', '3', '--out', str(out), *words, 'model.supervision.lanet=None'])
    assert wide == pytest.approx(2 * cv2.imread(str(out)).shape[1], abs=120)  # a heading has a width of its own


def test_without_landmarks_there_are_pictures_only(words):
    cfg = load_tool('train').configure(
        load_tool('train').parse_args([str(ROOT / 'configs/baseline/r18_rafdb_96px_12e.py'), *words[:-1]])
    )
    face = training_faces(cfg, faces=1).faces[0]
    assert face.points is face.heatmap is None
    assert face.picture.shape == (32, 32, 3)


@pytest.mark.parametrize(
    ('more', 'says'),
    [
        (['--faces', '0'], '--faces must be at least 1, got 0'),
        (['--epoch', '-1'], '--epoch must be at least 0, got -1'),
    ],
)
def test_what_cannot_be_shown_ends_in_one_sentence(more, says, capsys):
    with pytest.raises(SystemExit):
        load_tool('dataset_tools/browse').main([CONFIG, *more])
    assert says in capsys.readouterr().err
