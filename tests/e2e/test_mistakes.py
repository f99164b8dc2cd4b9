"""Everyday mistakes in a config or on the command line end in one sentence, before anything is built or trained."""

import shlex
import sys
from collections.abc import Callable

import pytest
import torch
from e2e.clone import NARROW, ROOT, options, tiny
from mmengine.registry import MODELS, DefaultScope

from mmfer.apis import read_config, user_errors
from mmfer.cli import test as test_tool
from mmfer.cli.data import check as check_tool
from mmfer.models.classifiers import FERClassifier

BASELINE = 'configs/baseline/r18_rafdb_96px_12e.py'
LANET = 'configs/lanet/r18_rafdb_96px_12e.py'
SCN = 'configs/scn/r18_rafdb_96px_12e.py'
PAL = 'configs/pal/r18_rafdb_96px_12e.py'
SNA = 'configs/sna/r18_rafdb_96px_12e.py'
ARM = 'configs/arm/r18_rafdb_96px_12e.py'
AUTOENCODER = 'configs/sna/autoencoder_rafdb_96px.py'
OF_LANET = 'model.supervision.lanet'
PIPELINE = 'train_dataloader.dataset.pipeline'
EARLY = 'default_hooks.early.type=EarlyStoppingHook default_hooks.early.'
NOISE = 'train_dataloader.dataset.label_noise.kind=symmetric train_dataloader.dataset.label_noise.'
HOLDOUT = 'train_dataloader.dataset.holdout.'
OPTIMIZER = 'optim_wrapper.optimizer'
READ = "pipeline=[dict(type='mmfer.LoadFace'), dict(type='mmfer.PackFace')]"

MISSPELT = [
    (
        LANET,
        'model.supervision.lanett.losses.kl=3',
        'model.supervision.lanett: the config has no such method; did you mean lanet?',
    ),
    (
        LANET,
        'model.supervision.lanett.losses.kl.loss_weight=3',
        'model.supervision.lanett: the config has no such method; did you mean lanet?',
    ),
    (
        LANET,
        f'{OF_LANET}.losses.contarst.loss_weight=.5',
        f'{OF_LANET}.losses.contarst: the method has no such part; did you mean contrast?',
    ),
    (LANET, f'{OF_LANET}.loses.kl.loss_weight=.5', 'not "loses"; did you mean losses?'),
    (LANET, f'{OF_LANET}.losses.kl.loss_weigth=.5', 'takes no "loss_weigth"; did you mean "loss_weight"?'),
    (
        LANET,
        f'{OF_LANET}.taps.shaerd=backbone.layer2',
        f'{OF_LANET}.taps.shaerd: no part reads such a tap; did you mean shared?',
    ),
    (
        LANET,
        f'{OF_LANET}.losses.kl=.5',
        f'{OF_LANET}.losses.kl is a dict of settings; set them one by one, such as {OF_LANET}.losses.kl.type=...',
    ),
    (
        LANET,
        'model.supervison.lanet.losses.kl.loss_weight=.5',
        "has no parameter 'supervison'; did you mean supervision?",
    ),
    (
        SCN,
        'model.supervision.scn.refiners.relable.ratio=.5',
        'refiners.relable: the method has no such part; did you mean relabel?',
    ),
    (ARM, 'model.neck.mapsize=2', "ARM has no parameter 'mapsize'; did you mean map_size?"),
    (SNA, 'model.supervision.sna.branches.neighbours.autoencoder.chanels=2', "'chanels'; did you mean channels?"),
    (AUTOENCODER, 'model.chanels=2', "'chanels'; did you mean channels?"),
    (BASELINE, 'optim_wrapper.optimzer.lr=.1', "'optimzer'; did you mean optimizer?"),
    (BASELINE, f'{OPTIMIZER}.lrr=.1', f"{OPTIMIZER}: Adam has no parameter 'lrr'; did you mean lr?"),
    (BASELINE, f'{OPTIMIZER}.type=Adamm', "type='Adamm' is no known optimizer; did you mean Adam?"),
    (
        BASELINE,
        'optim_wrapper.clip_grad.max_nrm=1',
        "optim_wrapper.clip_grad has no setting 'max_nrm'; did you mean 'max_norm'?",
    ),
    (
        BASELINE,
        'train_dataloader.dataset.pipelin=[]',
        "train_dataloader.dataset: RAFDB has no parameter 'pipelin'; did you mean pipeline?",
    ),
    (BASELINE, 'train_dataloader.batchsize=8', "'batchsize'; did you mean batch_size?"),
    (BASELINE, 'train_cfg.max_epoch=1', "'max_epoch'; did you mean max_epochs?"),
    (BASELINE, 'data_preprocessor.siez=32', "'siez'; did you mean size?"),
    (BASELINE, 'model.backbone.dept=50', "'dept'; did you mean depth?"),
    (BASELINE, 'param_scheduler.end_facto=.1', "'end_facto'; did you mean end_factor?"),
    (BASELINE, 'env_cfg.cudnn_bench=True', "env_cfg has no setting 'cudnn_bench'; did you mean 'cudnn_benchmark'?"),
    (BASELINE, 'auto_scale_lr.enabel=True', "auto_scale_lr has no setting 'enabel'; did you mean 'enable'?"),
    (
        BASELINE,
        'default_hooks.chekpoint.interval=2',
        'default_hooks.chekpoint has no type, as every hook must; did you mean checkpoint?',
    ),
    (
        BASELINE,
        'default_hooks.checkpoint.intervall=2',
        "CheckpointHook has no parameter 'intervall'; did you mean interval?",
    ),
    (BASELINE, 'default_hooks.protocl=None', 'takes out what is not there; did you mean protocol?'),
    (
        BASELINE,
        'model.backbone=ResNet',
        'model.backbone is a dict of settings; set them one by one, such as model.backbone.type=...',
    ),
    (
        BASELINE,
        'data_preprocessor.augment.7.p=.4',
        '--cfg-options do not fit the config: Index 7 exceeds the length of list',
    ),
    (
        BASELINE,
        'custom_hooks.0.type=EMAHook',
        'the config has no list custom_hooks; give the whole of it: "custom_hooks=[dict(type=...)]"',
    ),
]
NUMBERS = [
    (LANET, f'{OF_LANET}.losses.kl.loss_weight=abc', f"{OF_LANET}.losses.kl.loss_weight must be a number, got 'abc'"),
    (LANET, f'{OF_LANET}.losses.kl.loss_weight=nan', f'{OF_LANET}.losses.kl.loss_weight must be a number, got nan'),
    (
        LANET,
        f'{OF_LANET}.losses.contrast.temperature=abc',
        f"{OF_LANET}.losses.contrast.temperature must be a number, got 'abc'",
    ),
    (
        LANET,
        f'{OF_LANET}.branches.keys.queue_size=1.5',
        f'{OF_LANET}.branches.keys.queue_size must be a whole number, got 1.5',
    ),
    (
        SCN,
        'model.supervision.scn.losses.rank.ratio=abc',
        "model.supervision.scn.losses.rank.ratio must be a number, got 'abc'",
    ),
    (
        PAL,
        'model.supervision.pal.losses.pal.sigma=abc',
        "model.supervision.pal.losses.pal.sigma must be a number, got 'abc'",
    ),
    (SNA, 'model.supervision.sna.branches.neighbours.radius=abc', "neighbours.radius must be a number, got 'abc'"),
    (ARM, 'model.neck.map_size=abc', "model.neck.map_size must be a whole number or a list, got 'abc'"),
    (AUTOENCODER, 'model.size=abc', "model.size must be a whole number, got 'abc'"),
    (AUTOENCODER, 'train_cfg.max_epochs=0', 'train_cfg.max_epochs must be a whole number, at least 1, got 0'),
    (BASELINE, 'data_preprocessor.size=0', 'data_preprocessor.size must be a whole number, at least 1, got 0'),
    (BASELINE, 'data_preprocessor.size=-3', 'data_preprocessor.size must be a whole number, at least 1, got -3'),
    (BASELINE, 'data_preprocessor.size=1.5', 'data_preprocessor.size must be a whole number, got 1.5'),
    (
        BASELINE,
        'data_preprocessor.size=(32,32,32)',
        'data_preprocessor.size must be a side or (height, width), got (32, 32, 32)',
    ),
    (
        BASELINE,
        'data_preprocessor.mean=.5',
        'data_preprocessor.mean must be a list, got 0.5',
    ),
    (BASELINE, f'{PIPELINE}.0.size=0', 'LoadFace(size=...) must be a positive int or (height, width), got (0, 0)'),
    (BASELINE, f'{PIPELINE}.0.size=abc', f"{PIPELINE}.0.size must be a whole number or a list, got 'abc'"),
    (BASELINE, f'{PIPELINE}.0.size=(32.5,32)', f'{PIPELINE}.0.size must be a whole number, got 32.5'),
    (BASELINE, f'{OPTIMIZER}.lr=abc', f"{OPTIMIZER}.lr must be a number, at least 0, got 'abc'"),
    (BASELINE, f'{OPTIMIZER}.lr=-1', f'{OPTIMIZER}.lr must be a number, at least 0, got -1'),
    (BASELINE, f'{OPTIMIZER}.lr=inf', f'{OPTIMIZER}.lr must be a number, at least 0, got inf'),
    (BASELINE, f'{OPTIMIZER}.weight_decay=abc', f"{OPTIMIZER}.weight_decay must be a number, at least 0, got 'abc'"),
    (BASELINE, f'{OPTIMIZER}.betas=abc', f"{OPTIMIZER}.betas must be a list, got 'abc'"),
    (
        BASELINE,
        'optim_wrapper.clip_grad.max_norm=-1',
        'optim_wrapper.clip_grad.max_norm must be a number, above 0, got -1',
    ),
    (BASELINE, 'train_cfg.max_epochs=-1', 'train_cfg.max_epochs must be a whole number, at least 1, got -1'),
    (BASELINE, 'train_cfg.max_epochs=1.5', 'train_cfg.max_epochs must be a whole number, at least 1, got 1.5'),
    (BASELINE, 'train_cfg.max_epochs=abc', "train_cfg.max_epochs must be a whole number, at least 1, got 'abc'"),
    (BASELINE, 'train_cfg.val_begin=abc', "train_cfg.val_begin must be a whole number, at least 0, got 'abc'"),
    (
        BASELINE,
        'randomness.seed=x',
        "randomness.seed must be a whole number, at least 0 and at most 4294967295, got 'x'",
    ),
    (
        BASELINE,
        'randomness.seed=1.5',
        'randomness.seed must be a whole number, at least 0 and at most 4294967295, got 1.5',
    ),
    (
        BASELINE,
        f'{NOISE}rate=.3 train_dataloader.dataset.label_noise.seed=x',
        "label_noise.seed must be a whole number, at least 0, got 'x'",
    ),
    (BASELINE, f'{NOISE}rate=x', "label noise rate must lie between 0 and 1 (.3 for 30 %), got 'x'"),
    (BASELINE, f'{HOLDOUT}fraction=x', "holdout fraction must lie between 0 and 1, got 'x'"),
    (BASELINE, f'{HOLDOUT}fraction=.2 {HOLDOUT}seed=x', "holdout.seed must be a whole number, at least 0, got 'x'"),
    (
        BASELINE,
        'train_dataloader.dataset.indices=x',
        "train_dataloader.dataset.indices must be a whole number or a list, got 'x'",
    ),
    (
        BASELINE,
        'train_dataloader.batch_size=0',
        'train_dataloader.batch_size must be a whole number, at least 1, got 0',
    ),
    (
        BASELINE,
        'train_dataloader.batch_size=1.5',
        'train_dataloader.batch_size must be a whole number, at least 1, got 1.5',
    ),
    (
        BASELINE,
        'val_dataloader.batch_size=abc',
        "val_dataloader.batch_size must be a whole number, at least 1, got 'abc'",
    ),
    (
        BASELINE,
        'train_dataloader.num_workers=-1',
        'train_dataloader.num_workers must be a whole number, at least 0, got -1: 0 loads in the process that trains',
    ),
    (
        BASELINE,
        'val_dataloader.timeout=-1',
        'val_dataloader.timeout must be a number, at least 0, got -1: it is in seconds, and 0 waits for ever',
    ),
    (
        BASELINE,
        'train_dataloader.num_workers=abc',
        "train_dataloader.num_workers must be a whole number, at least 0, got 'abc'",
    ),
    (BASELINE, 'param_scheduler.end_factor=abc', "param_scheduler.end_factor must be a number, got 'abc'"),
    (
        BASELINE,
        'default_hooks.checkpoint.max_keep_ckpts=abc',
        "default_hooks.checkpoint.max_keep_ckpts must be a whole number, got 'abc'",
    ),
    (
        BASELINE,
        'default_hooks.checkpoint.save_last=no',
        "default_hooks.checkpoint.save_last must be True or False, got 'no'",
    ),
    (
        BASELINE,
        'default_hooks.checkpoint.interval=0',
        'interval must be at least 1, or -1 for no checkpoints, got 0',
    ),
    (
        BASELINE,
        'default_hooks.logger.interval=0',
        'default_hooks.logger.interval must be a whole number, at least 1, got 0',
    ),
    (BASELINE, 'model.head.num_classes=abc', "model.head.num_classes must be a whole number, got 'abc'"),
    (
        BASELINE,
        'train_dataloader.dataset.data_root=a,b',
        "data_root must be a text, got ['a', 'b']: on the command line one with commas stands in quotes",
    ),
]
KINDS = [
    (BASELINE, 'model=abc', 'model is a dict of settings; set them one by one, such as model.type=...'),
    (BASELINE, 'model.backbone=None', 'model.backbone is None: a network needs one'),
    (BASELINE, 'train_dataloader.dataset=None', 'train_dataloader.dataset is None: a loader needs one'),
    (BASELINE, 'train_dataloader.dataset.label_noise=abc', "label_noise must be a dict, got 'abc'"),
    (BASELINE, 'train_dataloader.dataset.holdout=3', 'train_dataloader.dataset.holdout must be a dict, got 3'),
    (BASELINE, 'train_dataloader.dataset.drop_classes=fear', "drop_classes must be a list, got 'fear'"),
    (BASELINE, 'train_dataloader.drop_last=no', "train_dataloader.drop_last must be True or False, got 'no'"),
    (BASELINE, 'train_dataloader.collate_fn.type=mmfer.collate', 'did you mean mmfer.collate_faces?'),
    (BASELINE, 'train_cfg.by_epoch=yes', "train_cfg.by_epoch must be True or False, got 'yes'"),
    (BASELINE, 'resume=epoch_1.pth', "resume must be True or False, got 'epoch_1.pth'"),
    (BASELINE, 'log_level=DEBG', "log_level='DEBG' is no level; did you mean DEBUG?"),
    (BASELINE, 'default_scope=mmpretrian', "default_scope='mmpretrian': no package mmpretrian is installed"),
    (BASELINE, 'optim_wrapper.type=AmpOptimWraper', 'did you mean AmpOptimWrapper?'),
    (BASELINE, 'auto_scale_lr.enable=True', 'auto_scale_lr.enable needs auto_scale_lr.base_batch_size'),
    (BASELINE, 'model.supervision.cls.losses.ce.class_weight=abc', "class_weight must be a list or a dict, got 'abc'"),
    (BASELINE, 'model.supervision.cls.losses.ce.inputs=abc', 'ce.inputs must be a dict of names by parameter'),
    (BASELINE, 'data_preprocessor.augment=abc', "data_preprocessor.augment must be a list, got 'abc'"),
    (BASELINE, 'data_preprocessor.augment.0.pp=3', 'takes no "pp"; did you mean "p"?'),
    (LANET, f'{OF_LANET}.taps.shared=3', f'{OF_LANET}.taps.shared must be the path of a module'),
]
PIPELINES = [
    (BASELINE, f'{PIPELINE}=[]', f'RAFDB train has no pipeline, which reads its faces: set {READ}'),
    (BASELINE, f'{PIPELINE}=None', f'{PIPELINE} is None: faces are read by {READ}'),
    (BASELINE, f'{PIPELINE}=LoadFace', f"{PIPELINE} must be a list of dicts, got 'LoadFace'"),
    (BASELINE, 'val_dataloader.dataset.pipeline=[]', f'RAFDB test has no pipeline, which reads its faces: set {READ}'),
    (
        BASELINE,
        f'{PIPELINE}=[dict(type=mmfer.PackFace)]',
        f"RAFDB train: PackFace of its pipeline needs 'img', which no step before it gives: faces are read by {READ}",
    ),
    (
        BASELINE,
        f'{PIPELINE}=[dict(type=mmfer.LoadFace)]',
        "RAFDB train: its pipeline ends with LoadFace, which packs no face ('inputs'): "
        "end it with dict(type='mmfer.PackFace')",
    ),
    (
        BASELINE,
        f'{PIPELINE}=[dict(kind=mmfer.LoadFace)]',
        f"{PIPELINE}.0 has no type, as every part must: got {{'kind': 'mmfer.LoadFace'}}",
    ),
]
OTHERS = [
    (
        BASELINE,
        'custom_imports.imports=acme_fer_typo',
        "--cfg-options custom_imports imports what is not there (No module named 'acme_fer_typo'): install the package",
    ),
    (
        BASELINE,
        'model.supervision.cls.losses.ce.type=acme_typo.EntropyLoss',
        "model.supervision.cls.losses.ce.type='acme_typo.EntropyLoss': no package acme_typo is installed",
    ),
    (
        BASELINE,
        f'{OPTIMIZER}.type=acme_typo.Adam',
        f"{OPTIMIZER}.type='acme_typo.Adam': no package acme_typo is installed",
    ),
    (
        BASELINE,
        'visualizer.vis_backends=TensorboardVisBackend',
        'on the command line "visualizer.vis_backends=[dict(type=TensorboardVisBackend)]"',
    ),
    (BASELINE, 'visualizer.vis_backends.0.type=TensorbordVisBackend', 'did you mean TensorboardVisBackend?'),
    (
        BASELINE,
        f'{EARLY}monitor=accuracy',
        'EarlyStoppingHook chooses an epoch by validation metrics but select_on is None: '
        "take it out, or say select_on='val'",
    ),
    (
        BASELINE,
        f'{EARLY}monitor=acuracy',
        "default_hooks.early.monitor='acuracy' is no figure of the validation; did you mean accuracy? "
        '(it gives accuracy, mean_class_accuracy, macro_f1)',
    ),
    (
        BASELINE,
        f'{EARLY}monitor=macro_f1',
        "default_hooks.early.monitor='macro_f1' needs default_hooks.early.rule=greater beside it",
    ),
    (BASELINE, EARLY.split()[0], "EarlyStoppingHook needs 'monitor'"),
    (
        AUTOENCODER,
        f'{EARLY}monitor=accuracy',
        'is no figure of the validation (it gives reconstruction_error, mean_face_error)',
    ),
    (
        BASELINE,
        'select_on=test default_hooks.checkpoint.save_best=acuracy',
        "default_hooks.checkpoint.save_best='acuracy' is no figure of the validation; did you mean accuracy?",
    ),
]


@pytest.fixture
def sentence(clone, train_tool, monkeypatch, tmp_path, capsys) -> Callable[..., str]:
    """What tools/train.py ends with, before a step, in a tiny run with some options (as typed, parted by blanks)."""
    monkeypatch.setattr(FERClassifier, 'train_step', lambda *_, **__: pytest.fail('it trains'))

    def run(config: str, typed: str = '', *more: str) -> str:
        own = shlex.split(typed)
        keys = {option.split('=')[0] for option in own}
        small = tiny(config) | (NARROW if config != AUTOENCODER else {}) if config.startswith('configs') else {}
        small = options({key: value for key, value in small.items() if key not in keys} | {'log_level': 'ERROR'})
        with pytest.raises(SystemExit) as stopped:
            train_tool.main([config, '--work-dir', str(tmp_path / 'run'), *more, *small, *own])
        told = capsys.readouterr().err.splitlines()
        assert stopped.value.code == 1, told[-1]
        assert told[-1].startswith('mmfer: error: ')
        assert 'MMFER_TRACEBACK' not in told[-1]
        return told[-1].removeprefix('mmfer: error: ')

    return run


@pytest.mark.parametrize(('config', 'typed', 'words'), [*MISSPELT, *NUMBERS, *KINDS, *PIPELINES, *OTHERS])
def test_a_mistake_on_the_command_line(config, typed, words, sentence):
    assert words in sentence(config, typed)


@pytest.mark.parametrize(
    ('base', 'text', 'words'),
    [
        (
            LANET,
            'model = dict(supervision=dict(lanett=dict(losses=dict(kl=dict(loss_weight=.5)))))',
            'model.supervision.lanett: the config has no such method; did you mean lanet?',
        ),
        (
            LANET,
            'model = dict(supervision=dict(lanet=dict(loses=dict(kl=dict(loss_weight=.5)))))',
            'not "loses"; did you mean losses?',
        ),
        (
            LANET,
            'model = dict(supervision=dict(lanet=dict(losses=dict(contarst=dict(loss_weight=.5)))))',
            'losses.contarst: the method has no such part; did you mean contrast?',
        ),
        (
            LANET,
            'model = dict(supervision=dict(lanet=dict(losses=dict(contarst=None))))',
            'model.supervision.lanet.losses.contarst=None takes out what the config that it builds on '
            'does not have; did you mean contrast?',
        ),
        (
            LANET,
            "model = dict(supervision=dict(lanet='lanet'))",
            "model.supervision.lanet must be a dict of taps, branches, refiners and losses, got 'lanet'",
        ),
        (
            BASELINE,
            'default_hooks = dict(protocl=None)',
            'default_hooks.protocl=None takes out what the config that it builds on '
            'does not have; did you mean protocol?',
        ),
        (
            BASELINE,
            "optim_wrapper = dict(optimizer=dict(lr='1e-3 '))",
            f"{OPTIMIZER}.lr must be a number, at least 0, got '1e-3 '",
        ),
        (BASELINE, "train_dataloader = 'mine'", "train_dataloader must be a dict of settings, got 'mine'"),
        (
            BASELINE,
            "custom_imports = dict(imports=['acme_fer_typo'])",
            "child.py or a file it builds on imports what is not there (No module named 'acme_fer_typo')",
        ),
    ],
)
def test_a_mistake_in_a_child_config(base, text, words, sentence, tmp_path):
    child = tmp_path / 'child.py'
    child.write_text(f"_base_ = '{ROOT / base}'\n{text}\n")
    assert words in sentence(str(child))


def test_a_part_that_is_taken_out_for_another_of_nearly_its_name_is_no_mistake(tmp_path, train_tool):
    child, grandchild = tmp_path / 'child.py', tmp_path / 'grandchild.py'
    child.write_text(
        f"_base_ = '{ROOT / LANET}'\n"
        "model = dict(supervision=dict(cls=dict(losses=dict(ce=None, ce2=dict(type='mmfer.CrossEntropyLoss')))))\n"
    )
    grandchild.write_text("_base_ = 'child.py'\n")
    cfg = train_tool.configure(train_tool.parse_args([str(grandchild)]))
    assert cfg.model.supervision.cls.losses.ce is None


def test_a_seed_that_is_none(sentence, train_tool, capsys):
    assert sentence(BASELINE, '', '--seed=-1').startswith('randomness.seed must be a whole number, at least 0')
    with pytest.raises(SystemExit):
        train_tool.main([BASELINE, '--seed', 'x'])
    assert capsys.readouterr().err.endswith("error: argument --seed: invalid int value: 'x'\n")


def test_a_backend_that_is_not_installed(sentence, monkeypatch):
    monkeypatch.setitem(sys.modules, 'wandb', None)
    told = sentence(BASELINE, 'visualizer.vis_backends.0.type=WandbVisBackend')
    assert told.startswith('WandbVisBackend needs a package that is not installed: Please run "pip install wandb"')


@pytest.mark.parametrize(('typed', 'words'), [(typed, words) for _, typed, words in PIPELINES])
def test_the_check_of_the_data_finds_a_pipeline_that_reads_no_faces(typed, words, clone, tmp_path, capsys):
    with pytest.raises(SystemExit):
        check_tool.main([BASELINE, '--out', str(tmp_path), '--cfg-options', typed])
    told = capsys.readouterr()
    assert words in told.err.splitlines()[-1]
    assert 'nothing is wrong' not in told.out


@pytest.mark.parametrize(
    ('typed', 'words'),
    [
        ('data_preprocessor.siez=32', 'did you mean size?'),
        ('data_preprocessor.size=abc', "data_preprocessor.size must be a whole number or a list, got 'abc'"),
        ('test_dataloader.batch_size=0', 'test_dataloader.batch_size must be a whole number, at least 1, got 0'),
        ('model.head.type=acme_typo.Head', 'no package acme_typo is installed'),
        ('test_dataloader.dataset.pipeline=[]', f'RAFDB test has no pipeline, which reads its faces: set {READ}'),
    ],
)
def test_a_mistake_in_testing(typed, words, clone, tmp_path, capsys):
    checkpoint = tmp_path / 'epoch_1.pth'
    cfg = read_config(BASELINE, NARROW)
    with DefaultScope.overwrite_default_scope('mmpretrain'):
        model = MODELS.build({**cfg.model, 'data_preprocessor': cfg.data_preprocessor})
    torch.save(dict(state_dict=model.state_dict(), meta={}), checkpoint)
    with pytest.raises(SystemExit):
        test_tool.main([BASELINE, str(checkpoint), '--work-dir', str(tmp_path), *options(NARROW), typed])
    assert words in capsys.readouterr().err.splitlines()[-1]


def test_loaders_without_workers_take_settings_of_workers_without_a_word(trained):
    """As `num_workers=0` over a config that keeps workers alive."""
    values = tiny(BASELINE) | NARROW
    for loader in ('train_dataloader', 'val_dataloader'):
        values |= {f'{loader}.persistent_workers': True, f'{loader}.prefetch_factor': 4}
    assert trained(BASELINE, values).epoch == 1


def test_a_list_of_dicts_can_be_typed(train_tool, clone):
    typed = 'custom_hooks=[dict(type=EMAHook, momentum=1e-3, strict_load=False), dict(type=mmfer.ReseedHook)]'
    cfg = train_tool.configure(train_tool.parse_args([BASELINE, '--cfg-options', typed]))
    ema = dict(type='EMAHook', momentum=1e-3, strict_load=False)
    assert cfg.custom_hooks == [ema, dict(type='mmfer.ReseedHook')]


def test_paths_keep_blanks_and_commas(train_tool, clone):
    path = '/x/My Drive/raf-db, aligned (2)'
    cfg = train_tool.configure(
        train_tool.parse_args([BASELINE, '--cfg-options', f'train_dataloader.dataset.data_root={path}'])
    )
    assert cfg.train_dataloader.dataset.data_root == path


def test_a_path_without_quotes_is_said_to_need_them(train_tool, clone, capsys):
    with pytest.raises(SystemExit):
        train_tool.main([BASELINE, '--cfg-options', 'train_dataloader.dataset.data_root=/x/My', 'Drive/raf-db'])
    told = capsys.readouterr().err
    assert "'Drive/raf-db' is no KEY=VALUE" in told
    assert 'a value with blanks needs quotes' in told


def test_a_location_of_a_plugin_that_is_not_there_is_named(tmp_path, monkeypatch, capsys):
    (tmp_path / 'astray').mkdir()
    (tmp_path / 'astray/__init__.py').touch()
    (tmp_path / 'astray/registry.py').write_text(
        'from mmengine import registry as mmengine\n'
        "MODELS = mmengine.Registry('model', parent=mmengine.MODELS, scope='astray', locations=['astray.losess'])\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(MODELS, '_children', dict(MODELS._children))
    with pytest.raises(SystemExit), user_errors():
        MODELS.get('astray.IslandLoss')
    assert capsys.readouterr().err == (
        "mmfer: error: the registry 'model' of astray has 'astray.losess' among its locations, and there is no such "
        'module: correct it where astray makes its registries (astray/registry.py)\n'
    )
