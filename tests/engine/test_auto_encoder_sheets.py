"""Stage A through a runner: pictures, figures, and what the hook refuses."""

import shlex
from pathlib import Path

import cv2
import pytest
import torch
from mmengine.config import Config
from mmengine.runner import Runner

from mmfer.commands import as_typed
from mmfer.datasets import SyntheticFaces
from mmfer.engine.hooks import auto_encoder_sheets
from mmfer.engine.hooks.auto_encoder_sheets import AutoEncoderSheetHook
from mmfer.evaluation import ReconstructionMetric

AUTOENCODER = dict(type='mmfer.FaceAutoEncoder', size=16, latent_dim=8, channels=4, depth=1)
PREPROCESSOR = dict(type='mmfer.FaceDataPreprocessor', size=16, mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5))
ROOT = Path(__file__).parents[2]
SHEETS = ('reconstructions.png', 'perturbations.png')


def dataset(split, num):
    pipeline = [dict(type='mmfer.LoadFace'), dict(type='mmfer.PackFace')]
    return dict(type='mmfer.SyntheticFaces', split=split, num=num, size=24, cache_dir=None, pipeline=pipeline)


def make_runner(folder, model=AUTOENCODER, epochs=3, hook=None, val=True, resume=False):
    loader = dict(batch_size=8, num_workers=0, collate_fn=dict(type='mmfer.collate_faces'))
    validation = (
        dict(
            val_dataloader=dict(
                dataset=dataset('test', 9), sampler=dict(type='DefaultSampler', shuffle=False), **loader
            ),
            val_evaluator=dict(type='mmfer.ReconstructionMetric'),
            val_cfg=dict(),
        )
        if val
        else {}
    )
    hook = hook or dict(type='mmfer.AutoEncoderSheetHook', interval=2, faces=6)
    return Runner.from_cfg(
        Config(
            dict(
                model=dict(model, data_preprocessor=PREPROCESSOR),
                work_dir=str(folder),
                default_scope='mmpretrain',
                train_dataloader=dict(
                    dataset=dataset('train', 16), **loader, sampler=dict(type='DefaultSampler', shuffle=True)
                ),
                train_cfg=dict(by_epoch=True, max_epochs=epochs),
                **validation,
                optim_wrapper=dict(optimizer=dict(type='Adam', lr=1e-3, betas=(0.5, 0.999))),
                custom_hooks=[dict(type='mmfer.ReseedHook'), hook],
                randomness=dict(seed=0),
                log_level='WARNING',
                resume=resume,
            )
        )
    )


@pytest.fixture
def drawn(monkeypatch):
    """Which pictures are drawn, of what, instead of drawing them."""
    sheets = []

    def note(images, captions, path, columns, title):
        sheets.append((path.name, title, images, captions))

    monkeypatch.setattr(auto_encoder_sheets, 'draw_contact_sheet', note)
    return sheets


def test_both_pictures_are_there_at_the_end_with_the_figures(tmp_path):
    runner = make_runner(tmp_path, epochs=1)
    runner.train()
    for name in SHEETS:
        picture = cv2.imread(str(tmp_path / name))
        assert picture.shape[0] > 200
        assert picture.std() > 20
    hook = next(hook for hook in runner.hooks if isinstance(hook, AutoEncoderSheetHook))
    hook.classifier = str(ROOT / 'configs/sna/r18_synthfaces.py')
    error, pictures, following = hook.closing_lines(runner, tmp_path, ['model.size=16', 'train_cfg.max_epochs=1'])
    own, trivial = (
        runner.message_hub.get_scalar(f'val/{name}_error').current() for name in ('reconstruction', 'mean_face')
    )
    assert error == f'mean absolute error {own:.2f} grey levels; that of the mean face {trivial:.2f}'
    assert pictures == f'pictures: {tmp_path / SHEETS[0]}  {tmp_path / SHEETS[1]}'
    words, place = shlex.split(following), 'model.supervision.sna.branches.neighbours'
    assert words[:2] + words[3:5] == [
        'next:',
        'python',
        as_typed(ROOT / 'configs/sna/r18_synthfaces.py'),
        '--cfg-options',
    ]
    assert words[5:] == [f'{place}.checkpoint={tmp_path}', f'{place}.autoencoder.size=16']
    hook.classifier = 'configs/sna/gone.py'
    assert hook.closing_lines(runner, tmp_path, []) == [error, pictures]


def test_pictures_are_drawn_every_few_epochs_and_at_the_end_of_the_same_faces(tmp_path, drawn):
    runner = make_runner(tmp_path, epochs=4)
    runner.train()
    epochs = [(name, title.split(':')[0].split()[-1]) for name, title, *_ in drawn]
    assert epochs == [(name, epoch) for epoch in ('2', '4') for name in SHEETS]
    first, second = (images for name, _, images, _ in drawn if name == 'reconstructions.png')
    assert all((a == b).all() for a, b in zip(first[:6], second[:6], strict=True))  # faces
    assert not all((a == b).all() for a, b in zip(first[6:], second[6:], strict=True))  # reconstructions


def test_a_sheet_holds_faces_of_the_validation_set_and_what_is_made_of_them(tmp_path, drawn):
    runner = make_runner(tmp_path, epochs=1)
    runner.train()
    model = runner.model.eval()
    test = SyntheticFaces(split='test', num=9, size=24, cache_dir=None)
    stored = torch.stack([torch.from_numpy(test[int(i)]['img'][..., ::-1].copy()) for i in (0, 2, 3, 5, 6, 8)])
    stored = stored.permute(0, 3, 1, 2) / 127.5 - 1
    face = torch.nn.functional.interpolate(stored, (16, 16), mode='bilinear', antialias=True)
    (_, _, images, captions), (_, _, changes, _) = drawn
    for row in range(6):
        assert (torch.from_numpy(images[row]) - (face[row].permute(1, 2, 0) * 127.5 + 127.5)).abs().max() <= 1
        own = model(face[row : row + 1]).detach()
        error = float(captions[6 + row].removeprefix('error '))
        assert error == pytest.approx(127.5 * (own - face[row]).abs().mean().item(), abs=0.06)
    assert len(changes) == 3 * 9  # every second face: the face, four changes, what they add
    for start in (0, 9, 18):
        face, changed, added = changes[start], changes[start + 1 : start + 5], changes[start + 5 : start + 9]
        assert (face == images[start // 9 * 2]).all()
        for one, plus in zip(changed, added, strict=True):
            difference = 3 * (one.astype(float) - face) + 127.5
            inside = (one > 0) & (one < 255) & (plus > 0) & (plus < 255)
            assert inside.mean() > 0.5
            assert abs(plus - difference)[inside].max() < 5


def test_without_a_validation_set_training_faces_are_drawn(tmp_path, drawn):
    runner = make_runner(tmp_path, epochs=1, val=False)
    runner.train()
    assert runner.model.training  # as it was before
    assert [name for name, *_ in drawn] == list(SHEETS)


def test_only_the_main_process_draws(tmp_path, drawn, monkeypatch):
    monkeypatch.setattr(auto_encoder_sheets, 'is_main_process', lambda: False)
    make_runner(tmp_path, epochs=2).train()
    assert drawn == []


def test_drawing_does_not_disturb_the_training(tmp_path, monkeypatch, drawn):
    def weights(folder, **options):
        runner = make_runner(folder, epochs=2, **options)
        runner.train()
        return runner.model.state_dict()

    often = weights(tmp_path / 'often', hook=dict(type='mmfer.AutoEncoderSheetHook', interval=1))
    never = weights(tmp_path / 'never', hook=dict(type='mmfer.AutoEncoderSheetHook', interval=99))
    assert len(drawn) == 6
    assert all(torch.equal(value, never[key]) for key, value in often.items())


def test_two_and_two_epochs_are_four(tmp_path, drawn):
    make_runner(tmp_path / 'whole', epochs=4).train()
    make_runner(tmp_path / 'parts', epochs=2).train()
    make_runner(tmp_path / 'parts', epochs=4, resume=True).train()
    whole, parts = (
        torch.load(tmp_path / name / 'epoch_4.pth', weights_only=True)['state_dict'] for name in ('whole', 'parts')
    )
    assert all(torch.equal(value, whole[key]) for key, value in parts.items())
    assert whole['steps'] == 8
    assert whole['mean_face'].abs().max() > 0.1


def test_other_models_are_refused(tmp_path):
    runner = make_runner(tmp_path)
    runner.model = torch.nn.Linear(2, 2)
    with pytest.raises(ValueError, match='draws a mmfer.FaceAutoEncoder, but the model is a Linear: take'):
        AutoEncoderSheetHook().before_train(runner)
    with pytest.raises(ValueError, match='interval must be at least 1, got 0'):
        AutoEncoderSheetHook(interval=0)


def test_the_metric_is_the_mean_over_faces_not_over_batches():
    metric = ReconstructionMetric()
    faces = [dict(reconstruction_error=torch.tensor(0.0 + i), mean_face_error=torch.tensor(10.0 + i)) for i in range(3)]
    metric.process(None, faces[:2])
    metric.process(None, faces[2:])
    assert metric.evaluate(3) == dict(reconstruction_error=1.0, mean_face_error=11.0)


def test_the_metric_refuses_what_is_no_reconstruction():
    with pytest.raises(ValueError, match="judges a mmfer.FaceAutoEncoder; .*type='mmfer.FERMetric'"):
        ReconstructionMetric().process(None, [dict(gt_label=torch.tensor([1]))])
    with pytest.raises(ValueError, match='nothing to evaluate'):
        ReconstructionMetric().compute_metrics([])
