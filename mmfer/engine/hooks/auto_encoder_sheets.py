"""Draws what an autoencoder of faces does while it is trained."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
from mmengine.config import Config
from mmengine.dist import is_main_process
from mmengine.hooks import Hook
from mmengine.model import is_model_wrapper
from mmengine.runner import Runner
from torch import Tensor

from mmfer.commands import as_typed, command, config_as_typed, read_again
from mmfer.datasets import collate_faces
from mmfer.models.autoencoders import FaceAutoEncoder, Neighbourhood
from mmfer.registry import HOOKS
from mmfer.structures.ranges import check_range
from mmfer.visualization import draw_contact_sheet

NAMES = ('reconstructions.png', 'perturbations.png')
CHANGES = 4
"""Semantic changes shown of each face."""


@HOOKS.register_module()
class AutoEncoderSheetHook(Hook):
    """Writes two pictures into the work folder, every few epochs and at the end.

    ``reconstructions.png``: faces, and beneath each what the decoder makes of its latents. ``perturbations.png``: a row
    a face, with the same face under random semantic changes, as
    :class:`~mmfer.models.supervision.branches.SemanticNeighbours` makes them, and what is added to it, three times as
    strong. The faces are those of the validation set (the training set where there is none), and the changes are the
    same every time, so that pictures can be compared.

    Args:
        interval: Epochs between pictures. Defaults to 5.
        faces: How many faces to reconstruct; half as many are changed. Defaults to 12.
        noise: Strength of the changes, in standard deviations of each latent. Defaults to 0.5.
        classifier: The config that comes next, for the closing lines.
    """

    def __init__(self, interval: int = 5, faces: int = 12, noise: float = 0.5, classifier: str | None = None):
        for name, value in (('interval', interval), ('faces', faces)):
            if value < 1:
                raise ValueError(f'AutoEncoderSheetHook: {name} must be at least 1, got {value}')
        check_range('AutoEncoderSheetHook: noise', noise, above=0, why='without it no face is changed')
        self.interval, self.faces, self.noise, self.classifier = interval, faces, noise, classifier

    def before_train(self, runner: Runner) -> None:
        """Refuses other models.

        Raises:
            ValueError: The model is no autoencoder.
        """
        if not isinstance(_model(runner), FaceAutoEncoder):
            raise ValueError(
                f'AutoEncoderSheetHook draws a mmfer.FaceAutoEncoder, but the model is a '
                f'{type(_model(runner)).__name__}: take the hook out of custom_hooks'
            )

    def after_train_epoch(self, runner: Runner) -> None:
        """Draws where it is time; the last epoch is drawn at the end."""
        if self.every_n_epochs(runner, self.interval) and not self.is_last_train_epoch(runner):
            self.draw(runner, runner.epoch + 1)

    def after_train(self, runner: Runner) -> None:
        """Draws, and says where."""
        self.draw(runner, runner.epoch)
        runner.logger.info(f'{" and ".join(NAMES)} are in {runner.work_dir}')

    def closing_lines(self, runner: Runner, folder: Path, options: Sequence[str]) -> list[str]:
        """What tools/train.py prints at the end.

        Args:
            runner: The run.
            folder: Its work folder, as one would type it.
            options: Its `--cfg-options`, as typed.
        """
        scalars = runner.message_hub.log_scalars
        error, trivial = (scalars.get(f'val/{name}') for name in ('reconstruction_error', 'mean_face_error'))
        lines = []
        if error is not None and trivial is not None:
            lines.append(
                f'mean absolute error {error.current():.2f} grey levels; that of the mean face {trivial.current():.2f}'
            )
        lines.append(f'pictures: {"  ".join(str(folder / name) for name in NAMES)}')
        config = _near(runner.cfg.filename, self.classifier)
        cfg = read_again(config) if config is not None else None
        if config is not None and cfg is not None:
            following = [*_of_the_classifier(cfg, runner.work_dir, options)]
            lines.append(f'next: {command("train.py", config_as_typed(config), options=following)}')
        return lines

    def draw(self, runner: Runner, epoch: int) -> None:
        """Writes both pictures, on the main process."""
        if not is_main_process():
            return
        model, folder, title = _model(runner), Path(runner.work_dir), f'{Path(runner.work_dir).name}, epoch {epoch}'
        training = model.training
        model.eval()
        with torch.no_grad():
            faces = model.fit(self._faces(runner, model))
            self._draw_reconstructions(model, faces, folder / NAMES[0], title)
            self._draw_changes(model, faces[::2], folder / NAMES[1], title)
        model.train(training)

    def _faces(self, runner: Runner, model: FaceAutoEncoder) -> Tensor:
        loader = runner.train_dataloader if runner.val_loop is None else runner.val_dataloader
        rows = np.linspace(0, len(loader.dataset) - 1, min(self.faces, len(loader.dataset))).round().astype(int)
        return model.data_preprocessor(collate_faces([loader.dataset[int(row)] for row in rows]), False)['inputs']

    def _draw_reconstructions(self, model: FaceAutoEncoder, faces: Tensor, path: Path, title: str) -> None:
        drawn = model(faces)
        errors = 127.5 * (drawn - faces).abs().mean((1, 2, 3))
        columns = 6
        images, captions = [], []
        for start in range(0, len(faces), columns):
            rows = slice(start, start + columns)
            missing = [np.full_like(_pictures(faces[:1])[0], 255)] * (columns - len(faces[rows]))
            images += [*_pictures(faces[rows]), *missing, *_pictures(drawn[rows]), *missing]
            captions += [
                *['face'] * len(faces[rows]),
                *[''] * len(missing),
                *[f'error {error:.1f}' for error in errors[rows].tolist()],
                *[''] * len(missing),
            ]
        title = f'{title}: reconstructions, mean error {errors.mean().item():.1f} grey levels'
        draw_contact_sheet(images, captions, path, columns, title)

    def _draw_changes(self, model: FaceAutoEncoder, faces: Tensor, path: Path, title: str) -> None:
        around = Neighbourhood(model, faces)
        generator = torch.Generator().manual_seed(0)
        changed = []
        for _ in range(CHANGES):
            change = torch.randn(around.latents.shape, generator=generator).to(around.latents)
            changed.append(around.changed(self.noise * model.latent_std * change, self.noise))
        added = [3 * (face - faces) for face in changed]
        images = [picture for row in zip(*map(_pictures, (faces, *changed, *added)), strict=True) for picture in row]
        captions = ['face', *['changed'] * CHANGES, *['added, x 3'] * CHANGES] * len(faces)
        title = f'{title}: random semantic changes of strength {self.noise:g}, and what they add (grey: nothing)'
        draw_contact_sheet(images, captions, path, 1 + 2 * CHANGES, title)


def _near(config: str | None, other: str | None) -> Path | None:
    """The other config, which is named from the folder that has `configs/`, or from the current one."""
    folders = [*Path(config).absolute().parents] if config else []
    candidates = [Path(), *folders] if other else []
    return next((folder / str(other) for folder in candidates if (folder / str(other)).is_file()), None)


def _of_the_classifier(cfg: Config, work_dir: str, options: Sequence[str]) -> Iterator[str]:
    """What the run's options mean for the classifier: the same data, autoencoder and work folder."""
    yield from (option for option in options if re.match(r'(train|val)_dataloader\.dataset\.', option))
    for method, parts in cfg.model.supervision.items():
        for name, part in (parts.get('branches') or {}).items():
            if 'autoencoder' in part:
                place = f'model.supervision.{method}.branches.{name}'
                if Path(part.get('checkpoint') or '').absolute() != Path(work_dir).absolute():
                    yield f'{place}.checkpoint={as_typed(work_dir)}'
                yield from (f'{place}.autoencoder.{option[6:]}' for option in options if option.startswith('model.'))


def _model(runner: Runner) -> torch.nn.Module:
    return runner.model.module if is_model_wrapper(runner.model) else runner.model


def _pictures(faces: Tensor) -> list[np.ndarray]:
    """RGB uint8 [H, W, 3] of faces in [-1, 1]."""
    return list((faces.float().clamp(-1, 1) * 127.5 + 127.5).round().byte().permute(0, 2, 3, 1).cpu().numpy())
