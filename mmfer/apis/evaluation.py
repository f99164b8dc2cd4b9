"""Evaluates the deployed network of a checkpoint."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mmengine.config import Config
from mmengine.dist import is_main_process

from mmfer import compat
from mmfer.apis.checkpoints.agreement import check_agreement, trained_classes
from mmfer.apis.checkpoints.checkpoint_file import read_checkpoint
from mmfer.apis.deployment import build_deployed, load_deployed
from mmfer.apis.training import forget_workers, limit_waiting, pin_memory
from mmfer.datasets.reading.csv_cells import written_csv
from mmfer.datasets.transforms.pipeline_trial import try_pipeline
from mmfer.engine.checks.classes import check_dataset_classes
from mmfer.engine.checks.held_out import check_tested
from mmfer.engine.checks.images import check_images
from mmfer.engine.collecting import collect_in
from mmfer.engine.dataset_parts import face_datasets
from mmfer.engine.loader_workers import enforce_timeout
from mmfer.engine.terminal import FILE_ONLY, TerminalRunner, VerboseRunner, outlast_a_full_disk, progress_of
from mmfer.evaluation import FERMetric, majority_class, write_report
from mmfer.visualization import draw_confusion_matrix

# What training needs and testing must not: hooks of training would look for their supervision and their bank.
TRAINING_KEYS = (
    'train_dataloader',
    'train_cfg',
    'optim_wrapper',
    'param_scheduler',
    'auto_scale_lr',
    'custom_hooks',
    'val_dataloader',
    'val_cfg',
    'val_evaluator',
    'load_from',
)


@dataclass(frozen=True)
class EvaluationReport:
    """What `evaluate` found and wrote; the files exist on the main process only.

    Args:
        metrics: Every figure by name, in percent.
        split: Split that was evaluated.
        faces: How many.
        majority: Name of the most frequent class and what always guessing it would score.
        table: One row a face: name, label, predicted class, probabilities.
        picture: The confusion matrix.
    """

    metrics: dict[str, float]
    split: str
    faces: int
    majority: tuple[str, float]
    table: Path
    picture: Path


def evaluate(
    cfg: Config,
    checkpoint: str | Path,
    table: str | Path | None = None,
    launcher: str = 'none',
    force: bool = False,
    verbose: bool = False,
) -> EvaluationReport:
    """Evaluates a checkpoint on the config's test data; nothing that only training needs is built.

    Args:
        cfg: A config with a `work_dir`, see `read_config` and `checkpoint_config`. It is changed in place.
        checkpoint: A checkpoint of training, or an exported one.
        table: The csv to write. Defaults to None: `predictions.csv` in the work folder.
        launcher: As for training.
        force: Whether to warn instead of raising where the config differs from the checkpoint's.
        verbose: As for training.

    Raises:
        ValueError: The config has no test data or no FERMetric, differs from what the checkpoint was trained with
            (`check_agreement`), the checkpoint does not fit, or the test faces are those of the training set because a
            csv does not part them.
    """
    content = read_checkpoint(checkpoint)
    if cfg.get('test_dataloader') is None or cfg.get('test_evaluator') is None:
        raise ValueError(f'{cfg.filename} has no test_dataloader or no test_evaluator: there is nothing to test on')
    try:
        check_agreement(cfg, content, checkpoint, 'test', force)
    except ValueError:
        load_deployed(build_deployed(cfg), content, checkpoint)  # weights that do not fit say more than a parameter
        raise
    trained_on = (cfg.get('train_dataloader') or {}).get('dataset')
    for key in TRAINING_KEYS:
        cfg[key] = None
    cfg.default_hooks = {name: hook for name, hook in (cfg.get('default_hooks') or {}).items() if name == 'logger'}
    cfg.resume = False
    for key in ('supervision', 'pretrained'):
        if key in cfg.model:
            cfg.model[key] = None
    compat.prepare(cfg, launcher)
    pin_memory(cfg)
    forget_workers(cfg)
    limit_waiting(cfg)
    runner = (VerboseRunner if verbose else TerminalRunner).from_cfg(cfg)
    outlast_a_full_disk(runner.logger)
    model = runner.model.module if runner.distributed else runner.model
    load_deployed(model, content, checkpoint)
    check_dataset_classes(runner.test_dataloader.dataset, trained_classes(content), 'test_dataloader.dataset')
    check_tested(trained_on, runner.test_dataloader.dataset)
    for faces in face_datasets(runner.test_dataloader.dataset):
        try_pipeline(faces)
    check_images([runner.test_dataloader.dataset])
    enforce_timeout(runner.test_dataloader)
    for faces in face_datasets(runner.test_dataloader.dataset):
        runner.logger.info(faces.summary(), extra=FILE_ONLY)
    collect_in(runner.test_evaluator, runner.work_dir)
    with progress_of(runner):
        metrics = runner.test()
    metric = next((m for m in runner.test_evaluator.metrics if isinstance(m, FERMetric)), None)
    if metric is None:
        raise ValueError("test_evaluator has no dict(type='mmfer.FERMetric'): add it")
    folder, dataset = Path(runner.work_dir), runner.test_dataloader.dataset
    table, picture = Path(table or folder / 'predictions.csv'), folder / 'confusion_matrix.png'
    split, majority = str(getattr(dataset, 'split', 'test')), ('', 0.0)
    if is_main_process():
        write_table(metric, _names(metric, dataset), table)
        index, rate = majority_class(metric.confusion)
        majority = metric.classes[index], rate
        content = dict(
            checkpoint=str(checkpoint),
            split=split,
            faces=len(metric.faces),
            majority_class=majority[0],
            majority_rate=rate,
            **metrics,
            classes=list(metric.classes),
            confusion_matrix=metric.confusion.tolist(),
        )
        write_report(content, folder / 'test_metrics.json')
        draw_confusion_matrix(
            metric.confusion, metric.classes, picture, f'{Path(checkpoint).name}: {split}, {len(metric.faces)} faces'
        )
    return EvaluationReport(metrics, split, len(metric.faces), majority, table, picture)


def write_table(metric: FERMetric, names: list[str], path: Path) -> None:
    """Writes one row a face: name, label, predicted class, probability of each class."""
    with written_csv(path) as writer:
        writer.writerow(['name', 'label', 'predicted', *metric.classes])
        for name, face in zip(names, metric.faces, strict=True):
            predicted = metric.classes[face.score.argmax()]
            writer.writerow([name, metric.classes[face.label], predicted, *(f'{value:.6f}' for value in face.score)])


def _names(metric: FERMetric, dataset: Any) -> list[str]:
    """Names as the dataset's own files have them, where it keeps them."""
    columns = getattr(dataset, 'columns', None) or {}
    if 'name' in columns and all(face.sample_idx >= 0 for face in metric.faces):
        return [str(columns['name'][face.sample_idx]) for face in metric.faces]
    return [face.img_path or str(face.sample_idx) for face in metric.faces]
