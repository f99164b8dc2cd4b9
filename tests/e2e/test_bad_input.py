"""What users get wrong ends before the first step, with one sentence that names the thing and the cure.

docs/reliability.md is the list of these sentences: a row for each test here and a test for each row there.
"""

import os
import re
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
import torch
from e2e.clone import NARROW, ROOT, make_clone, options, tiny
from PIL import Image

from mmfer.datasets.labels.noise_manifest import NoiseManifest
from mmfer.datasets.labels.schema import ORDERS
from mmfer.models.classifiers import FERClassifier

CONFIG = 'configs/lanet/r18_rafdb_96px_12e.py'
PRETRAINED = 'configs/lanet/r18_rafdb.py'
METHOD = 'model.supervision.lanet'
LABELS = 'data/raf-db/basic/EmoLabel/list_patition_label.txt'
WEIGHTS = 'pretrained/resnet18_msceleb.pth'
LANDMARKS = 'data/raf-db/landmarks68.npz'
SAME = 'same.py'
FACES = Path('data/raf-db/basic/Image/aligned')


@dataclass(frozen=True)
class Mistake:
    """Something wrong, and what the sentence must name: the thing, then the cure."""

    wrong: str
    names: tuple[str, ...]
    values: Mapping[str, object] = field(default_factory=dict)
    spoil: Callable[[], object] = lambda: None
    config: str = CONFIG
    more: tuple[str, ...] = ()
    steps: bool = False  # it can show only when faces are loaded

    def command(self) -> list[str]:
        """Arguments of tools/train.py."""
        values = tiny(str(Path(self.config).absolute())) | NARROW | self.values if Path(self.config).is_file() else {}
        return [self.config, *self.more, *(options(values) if values else [])]


def move_the_data():
    Path('data/raf-db').rename('data/rafdb')


def write_a_word_for_a_number():
    lines = Path(LABELS).read_text().splitlines()
    lines[4] = 'train_00005.jpg happy'
    Path(LABELS).write_text('\n'.join(lines))


def name_landmarks_in_bytes():
    with np.load(LANDMARKS) as rows:
        np.savez(LANDMARKS, **dict(rows) | dict(names=rows['names'].astype(bytes)))


def drop_three_rows_of_landmarks():
    with np.load(LANDMARKS) as rows:
        rows = {name: column[3:] for name, column in rows.items()}
    np.savez(LANDMARKS, **rows)


def write_bad_lines():
    lines = Path(LABELS).read_text().splitlines()
    lines[2], lines[4], lines[8] = 'train_00003.jpg 8', '../train_00005.jpg 1', 'train 00009.jpg 2'
    Path(LABELS).write_text('\n'.join([*lines[:7], lines[3], *lines[7:]]))


def spoil_pictures():
    """One of each kind, in both sets."""
    face = Image.new('RGB', (32, 32), 'tan')
    cut = (FACES / 'train_00003_aligned.jpg').read_bytes()[:-50]
    for name, content in (('train_00001', b''), ('train_00002', b'<html>404</html>'), ('train_00003', cut)):
        (FACES / f'{name}_aligned.jpg').write_bytes(content)
    face.save(FACES / 'train_00004_aligned.jpg', 'GIF', save_all=True, append_images=[Image.new('RGB', (32, 32))])
    bomb = bytearray((FACES / 'test_00001_aligned.jpg').read_bytes())
    size = bomb.index(b'\xff\xc0') + 5
    bomb[size : size + 4] = b'\xff' * 4
    (FACES / 'test_00001_aligned.jpg').write_bytes(bomb)


def put_no_files_in_the_place_of_pictures():
    pipe, device, huge = (FACES / f'train_0000{number}_aligned.jpg' for number in (1, 2, 3))
    for path in (pipe, device):
        path.unlink()
    os.mkfifo(pipe)
    device.symlink_to('/dev/zero')
    os.truncate(huge, 12_000_000_000)


def name_class_folders_by_numbers():
    for number in range(7):
        Path(f'data/numbers/train/{number}').mkdir(parents=True)
    steps = "dict(type='mmfer.LoadFace', size=32), dict(type='mmfer.PackFace')"
    faces = f"_delete_=True, type='mmfer.FolderFaces', data_root='data/numbers', split='train', pipeline=[{steps}]"
    Path('numbers.py').write_text(
        f"_base_ = 'configs/baseline/r18_rafdb.py'\ntrain_dataloader = dict(dataset=dict({faces}))\n"
    )


def change_landmarks(change: Callable[[np.ndarray], np.ndarray]):
    with np.load(LANDMARKS) as rows:
        rows = dict(rows)
    np.savez(LANDMARKS, **rows | dict(points=change(rows['points'])))


def flip_in_the_pipeline():
    steps = "dict(type='mmfer.LoadFace', size=100), dict(type='RandomFlip', prob=0.5), dict(type='mmfer.PackFace')"
    Path('flipped.py').write_text(f"_base_ = '{CONFIG}'\ntrain_dataloader = dict(dataset=dict(pipeline=[{steps}]))\n")


def halve_the_data_of_a_picture():
    path = FACES / 'train_00005_aligned.jpg'
    data = path.read_bytes()
    path.write_bytes(data[: (data.index(b'\xff\xda') + len(data)) // 2] + b'\xff\xd9')


def list_the_same_faces_twice():
    """A config whose training and test set are one csv without a column that parts them."""
    rows = [line.split() for line in Path(LABELS).read_text().splitlines()]
    lines = [f'{name[:-4]}_aligned.jpg,{int(label) - 1}' for name, label in rows]
    (FACES / 'faces.csv').write_text('\n'.join(['name,label', *lines]))
    Path(SAME).write_text(
        f"_base_ = '{CONFIG.replace('lanet', 'baseline')}'\n"
        f"_faces = dict(_delete_=True, type='mmfer.CsvFaces', data_root='{FACES}', metainfo=dict(classes='rafdb'),\n"
        "              pipeline=[dict(type='mmfer.LoadFace', size=32), dict(type='mmfer.PackFace')])\n"
        "train_dataloader = dict(dataset=dict(**_faces, split='train'))\n"
        "val_dataloader = dict(dataset=dict(**_faces, split='test', test_mode=True))\n"
        'test_dataloader = val_dataloader\n'
    )


def keep_five_landmarks():
    with np.load(LANDMARKS) as rows:
        np.savez(LANDMARKS, **dict(rows) | dict(points=rows['points'][:, :5]))


def save_weights_of_a_face_recogniser():
    torch.save({name: torch.zeros(64) for name in ('input_layer.1.weight', 'body.0.res_layer.0.weight')}, WEIGHTS)


def write_a_manifest_of_other_faces():
    NoiseManifest(
        [f'{letter}.jpg' for letter in 'abcdefghijklmnop'], np.zeros(16, int), np.ones(16, int), ORDERS['rafdb']
    ).write('noise.csv')


def change_a_row_of_a_manifest():
    write_a_manifest_of_other_faces()
    path = Path('noise.csv')
    path.write_text(path.read_text().replace('b.jpg,surprise,fear', 'b.jpg,surprise,anger'))


MANIFEST = {
    'train_dataloader.dataset.label_noise.kind': 'manifest',
    'train_dataloader.dataset.label_noise.file': 'noise.csv',
}

MISTAKES = [
    Mistake(
        'no pretrained weights',
        (WEIGHTS, 'model.pretrained=None', 'model.pretrained=torchvision://resnet18'),
        config=PRETRAINED,
    ),
    Mistake(
        'pretrained weights that are no weights',
        (WEIGHTS, 'the download is whole'),
        config=PRETRAINED,
        spoil=lambda: Path(WEIGHTS).write_text('<html>404</html>'),
    ),
    Mistake(
        'pretrained weights of another network',
        (WEIGHTS, 'IR-50', 'ResNet-18', 'model.pretrained=None'),
        config=PRETRAINED,
        spoil=save_weights_of_a_face_recogniser,
    ),
    Mistake(
        "dlib's weights of faces for a ResNet",
        ('dlib://face', 'ResNet', 'mmfer.DlibFaceNet', 'configs/baseline/dlibface_rafdb.py'),
        {'model.pretrained': 'dlib://face'},
    ),
    Mistake('no data folder', ('data/raf-db', LABELS[12:], 'apply at http', 'ln -s'), spoil=move_the_data),
    Mistake(
        'a bad line in the label file',
        (f'{LABELS}:5', 'train_00005.jpg happy', 'expected', 'correct or remove'),
        spoil=write_a_word_for_a_number,
    ),
    Mistake(
        'several bad lines in the label file',
        (
            '4 bad lines',
            f'{LABELS}:3',
            'label 8',
            f'{LABELS}:5',
            'without a folder',
            f'{LABELS}:8',
            'twice',
            f'{LABELS}:10',
            '3 fields',
        ),
        spoil=write_bad_lines,
    ),
    Mistake(
        'a label file whose every line is bad',
        ('has 25 bad lines', 'which is every line there is', 'another file', f'{LABELS}:1', 'and 15 more'),
        spoil=lambda: Path(LABELS).write_text(Path(LABELS).read_text().replace(' ', ',')),
    ),
    Mistake(
        'a label file that is no text',
        (f'{LABELS}:1', 'zero byte', 'saved as UTF-8'),
        spoil=lambda: Path(LABELS).write_bytes(Path(LABELS).read_text().encode('utf-16-le')),
    ),
    Mistake(
        'a label file that is no file',
        (LABELS, 'a device', '/dev/zero', 'give a file'),
        spoil=lambda: (Path(LABELS).unlink(), Path(LABELS).symlink_to('/dev/zero')),
    ),
    Mistake(
        'a picture that is listed but not there',
        ('train_00005_aligned.jpg', '1 of the 16', 'unpack'),
        spoil=lambda: Path('data/raf-db/basic/Image/aligned/train_00005_aligned.jpg').unlink(),
    ),
    Mistake(
        'pictures that cannot be used',
        (
            '5 of the 16 images that RAFDB train lists and 9',
            "on_bad_image='skip'",
            'list_patition_label.txt:3',
            'empty',
            '404',
            'cut off',
            'animated',
            'too large (4,294,836,225 pixels',
        ),
        spoil=spoil_pictures,
    ),
    Mistake(
        'a pipe, a device or a huge file in the place of a picture',
        ('3 of the 16', 'list_patition_label.txt:1', 'a pipe', 'a device (a link to /dev/zero)', 'too large (12,000'),
        spoil=put_no_files_in_the_place_of_pictures,
    ),
    Mistake(
        'class folders that are named by numbers, without the names of the classes',
        ('data/numbers', '(0, 1, 2, ...)', 'metainfo=dict(classes=[...])', "classes='rafdb'"),
        {'model.pretrained': None},
        spoil=name_class_folders_by_numbers,
        config='numbers.py',
    ),
    Mistake(
        'a JPEG that lacks a part of its data, its end mark in place',
        ('train_00005_aligned.jpg', 'cut off or damaged', 'restore it', 'take its row out'),
        spoil=halve_the_data_of_a_picture,
        steps=True,
    ),
    Mistake(
        'landmarks whose names are no text',
        (LANDMARKS, 'bytes, not text', 'names.astype(str)'),
        spoil=name_landmarks_in_bytes,
    ),
    Mistake('no landmark file', ('landmarks68.npz', 'landmarks=...'), spoil=lambda: Path(LANDMARKS).unlink()),
    Mistake(
        'a landmark file with too few rows',
        (LANDMARKS, '3 of 16', 'train_00001_aligned.jpg', 'add a row for each', 'landmarks=...'),
        spoil=drop_three_rows_of_landmarks,
    ),
    Mistake(
        'a landmark file that is none',
        (LANDMARKS, 'expected an .npz'),
        spoil=lambda: Path(LANDMARKS).write_text('1 2 3'),
    ),
    Mistake('landmarks that are not 68', (LANDMARKS, '[25, 5, 2]', '[N, 68, 2]'), spoil=keep_five_landmarks),
    Mistake(
        'landmarks in shares of the image',
        (LANDMARKS, 'not pixels', 'multiply x by the width'),
        spoil=lambda: change_landmarks(lambda points: points / 32),
    ),
    Mistake(
        'landmarks whose x and y are exchanged',
        ('16 of 16', 'train_00001_aligned.jpg', f'--import {LANDMARKS}', '--swap-xy'),
        spoil=lambda: change_landmarks(lambda points: points[..., ::-1]),
    ),
    Mistake(
        'landmarks that are upside down, mirrored, turned, or in another order',
        ('16 of 16', 'upside down', 'docs/landmarks.md', 'landmarks=None'),
        spoil=lambda: change_landmarks(lambda points: points * [1, -1] + [0, 31]),
    ),
    Mistake(
        'a pipeline step that moves pictures without their landmarks',
        ('RAFDB train', 'RandomFlip', 'data_preprocessor=dict(augment=[dict(type="RandomHorizontalFlip")])'),
        spoil=flip_in_the_pipeline,
        config='flipped.py',
    ),
    Mistake(
        'an augmentation that leaves landmarks behind',
        ('RandomThinPlateSpline', 'RandomAffine'),
        {'data_preprocessor.augment.0.type': 'RandomThinPlateSpline'},
    ),
    Mistake(
        'an augmentation that mixes faces',
        ('RandomMixUpV2', 'take it out'),
        {'data_preprocessor.augment.0.type': 'RandomMixUpV2'},
    ),
    Mistake(
        'a loss that needs landmarks, on data without',
        ('lanet.losses.heatmap', 'dataset.landmarks=', 'None'),
        {'train_dataloader.dataset.landmarks': None},
    ),
    Mistake(
        'the type of a part misspelt',
        ('lanet.losses.kl', 'DistributionKLLos"', 'did you mean', 'KLLoss"'),
        {f'{METHOD}.losses.kl.type': 'mmfer.DistributionKLLos'},
    ),
    Mistake(
        "a part's parameter misspelt",
        ('lanet.losses.kl', '"loss_wieght"', 'did you mean "loss_weight"'),
        {f'{METHOD}.losses.kl.loss_wieght': 0.5},
    ),
    Mistake(
        "a dataset's parameter misspelt",
        ("RAFDB has no parameter 'landmark'", 'did you mean landmarks'),
        {'train_dataloader.dataset.landmark': 'landmarks68.npz'},
    ),
    Mistake(
        'a part that reads a name nothing publishes',
        ('lanet.losses.kl', '"distributon"', '"distribution"'),
        {f'{METHOD}.losses.kl.inputs.distribution': 'distributon'},
    ),
    Mistake(
        'a branch taken out that another part reads',
        ('lanet.losses.kl', '"distribution"', 'known here are'),
        {f'{METHOD}.refiners.lde': None},
    ),
    Mistake(
        'the path of a tap misspelt',
        ('"shared"', '"backbone.layr1"', 'nearest is "backbone.layer1'),
        {f'{METHOD}.taps.shared': 'backbone.layr1'},
    ),
    Mistake(
        'another number of landmarks than the loss draws',
        ('19 points', '68', 'num_landmarks=19'),
        {f'{METHOD}.branches.landmark.num_landmarks': 68},
        steps=True,
    ),
    Mistake(
        'the wrong number of classes',
        ('model.head.num_classes is 8', 'set model.head.num_classes=7'),
        {'model.head.num_classes': 8},
    ),
    Mistake(
        'a validation set whose classes are in another order',
        ('val_dataloader.dataset', 'neutral, happiness', 'metainfo.classes=rafdb'),
        {'val_dataloader.dataset.metainfo.classes': 'affectnet7'},
    ),
    Mistake(
        'a loss in the head',
        ("model.head.loss={'type': 'FocalLoss'}", 'supervision.cls.losses.ce', 'model.head.loss=None'),
        {'model.head.loss.type': 'FocalLoss'},
    ),
    Mistake(
        'class weights for a class that is not there',
        ("'hapiness'", "did you mean 'happiness'?"),
        {'model.supervision.cls.losses.ce.class_weight.hapiness': 2},
    ),
    Mistake(
        'a number that leaves nothing of a method',
        ('num_neighbours', 'at least 1, got 0'),
        {f'{METHOD}.refiners.lde.num_neighbours': 0},
    ),
    Mistake(
        'a negative weight of a loss',
        (f'{METHOD.removeprefix("model.")}.losses.kl.loss_weight', 'got -1'),
        {f'{METHOD}.losses.kl.loss_weight': -1},
    ),
    Mistake(
        'mean and deviation of pixels in 0..255',
        ('data_preprocessor.mean', 'got 123.675', 'divide'),
        {'data_preprocessor.mean': '(123.675,116.28,103.53)'},
    ),
    Mistake(
        'a learning rate for parameters that are not there',
        ("'bakbone'", "did you mean 'backbone'?"),
        {'optim_wrapper.paramwise_cfg.custom_keys.bakbone.lr_mult': 0.1},
    ),
    Mistake(
        'another backbone without the width of its head',
        ('gives 256 features', 'head.in_channels is 64', 'set model.head.in_channels=256'),
        {'model.backbone.depth': 50},
    ),
    Mistake(
        'a batch that the training set does not fill',
        ('16 faces', 'one of 64', 'train_dataloader.batch_size'),
        {'train_dataloader.batch_size': 64},
    ),
    Mistake(
        'the path of the config misspelt',
        ('configs/lanet/r18_rafbd.py', 'mean configs/lanet/r18_rafdb.py?'),
        config='configs/lanet/r18_rafbd.py',
    ),
    Mistake('a key of --cfg-options misspelt', ('select_onn', 'did you mean select_on'), {'select_onn': 'val'}),
    Mistake('an option that does not fit the config', ('depth', "'x': 3"), {'model.backbone.depth.x': 3}),
    Mistake("a setting of the run's misspelt", ("'seeed'", 'did you mean seed'), {'randomness.seeed': 3}),
    Mistake(
        'a part to be taken out misspelt',
        ('lanet.losses.contrst=None', 'did you mean contrast'),
        {f'{METHOD}.losses.contrst': None},
    ),
    Mistake(
        'choosing on val where val is the test set',
        ("select_on='val'", "'test'", 'holdout=dict(', "='test'"),
        {'select_on': 'val'},
    ),
    Mistake(
        'a val split of data that has none',
        ('RAFDB', 'holdout=dict(fraction=.1, seed=0)'),
        {'select_on': 'val', 'val_dataloader.dataset.split': 'val'},
    ),
    Mistake(
        'a val split that is trained on, too',
        ('7 of the 7', 'train_dataloader.dataset', "{'fraction': 0.2}"),
        {'select_on': 'val', 'val_dataloader.dataset.split': 'val', 'val_dataloader.dataset.holdout.fraction': 0.2},
    ),
    Mistake(
        'a csv without splits that is trained on and tested',
        ('9 of the 9', f'{FACES}/faces.csv', 'no column split', 'ann_file', "split='train'"),
        config=SAME,
        spoil=list_the_same_faces_twice,
    ),
    Mistake(
        'a kind of label noise that there is not',
        ("'symmetrical'", "'symmetric', 'asymmetric', 'manifest'"),
        {'train_dataloader.dataset.label_noise.kind': 'symmetrical', 'train_dataloader.dataset.label_noise.rate': 0.3},
    ),
    Mistake('a noise manifest that is not there', ('noise.csv', 'tools/dataset_tools/noise.py CONFIG'), MANIFEST),
    Mistake(
        'a noise manifest whose rows were changed',
        ('noise.csv', 'sha256', 'published', 'make it again'),
        MANIFEST,
        spoil=change_a_row_of_a_manifest,
    ),
    Mistake(
        'a noise manifest of other faces',
        ('row 1 is a.jpg', 'train_00001_aligned.jpg', 'of these data'),
        MANIFEST,
        spoil=write_a_manifest_of_other_faces,
    ),
    Mistake(
        'a rate beside a noise manifest',
        ("kind='manifest'", 'got file, rate', '_delete_=True'),
        MANIFEST | {'train_dataloader.dataset.label_noise.rate': 0.3},
    ),
    Mistake(
        'resuming from a checkpoint that is not there',
        ('epoch_9.pth', '--resume alone'),
        more=('--resume', 'epoch_9.pth'),
    ),
    Mistake(
        'weights that are no numbers any more',
        ('nan', 'lower optim_wrapper.optimizer.lr'),
        {'optim_wrapper.optimizer.lr': 1e30},
        steps=True,
    ),
]


def promised() -> dict[str, str]:
    """What docs/reliability.md says that mmfer says, by what is wrong."""
    row = re.compile(r'^\| (.+?) \| `(mmfer: error: .+?)` \| .+ \|$', re.MULTILINE)
    return dict(row.findall((ROOT / 'docs/reliability.md').read_text()))


def agrees(printed: str, documented: str) -> bool:
    """Whether a sentence is the documented one; an ellipsis stands for anything."""
    pattern = '.+'.join(map(re.escape, documented.split('…')))
    return re.fullmatch(pattern, printed.replace(str(Path.cwd()), '/home/you/mmfer')) is not None


def test_every_row_of_the_page_is_tested():
    assert [mistake.wrong for mistake in MISTAKES] == list(promised())


@pytest.fixture
def own_clone(tmp_path, monkeypatch):
    """A clone to be spoilt, as the current folder."""
    monkeypatch.chdir(make_clone(tmp_path))


@pytest.mark.usefixtures('own_clone')
@pytest.mark.parametrize('mistake', MISTAKES, ids=lambda mistake: mistake.wrong)
def test_a_mistake_ends_in_one_sentence(mistake, train_tool, monkeypatch, capsys):
    mistake.spoil()
    if not mistake.steps:
        monkeypatch.setattr(FERClassifier, 'train_step', lambda *_, **__: pytest.fail('it trains'))
    with pytest.raises(SystemExit) as stopped:
        train_tool.main(mistake.command())
    assert stopped.value.code == 1
    told = capsys.readouterr().err
    (printed,) = (line for line in told.splitlines() if line.startswith('mmfer: error: '))
    assert told.endswith(f'{printed}\n')
    assert 'Traceback' not in told
    for name in mistake.names:
        assert name in printed
    assert agrees(printed, promised()[mistake.wrong]), printed


@pytest.mark.usefixtures('own_clone')
@pytest.mark.parametrize('wrong', ['no pretrained weights', 'no data folder'])
def test_as_a_program_it_ends_within_seconds_with_exit_code_1(wrong):
    (mistake,) = (mistake for mistake in MISTAKES if mistake.wrong == wrong)
    mistake.spoil()
    enough = ['--cfg-options', 'train_dataloader.batch_size=8']  # of 16 faces
    command = [sys.executable, str(ROOT / 'tools' / 'train.py'), mistake.config, *enough]
    before = os.times()
    done = subprocess.run(command, env=os.environ | dict(PYTHONPATH=str(ROOT)), capture_output=True, text=True)
    after = os.times()  # of the processor: the machine may be busy
    assert after.children_user + after.children_system - before.children_user - before.children_system < 30
    assert done.returncode == 1
    assert 'Traceback' not in done.stderr
    assert agrees(done.stderr.splitlines()[-1], promised()[wrong])


@pytest.mark.usefixtures('own_clone')
def test_an_option_without_a_value_ends_with_the_usage(train_tool, capsys):
    with pytest.raises(SystemExit) as stopped:
        train_tool.main([CONFIG, '--cfg-options', 'model.pretrained'])
    assert stopped.value.code == 2
    assert "'model.pretrained' is no KEY=VALUE, for example model.pretrained=None" in capsys.readouterr().err
