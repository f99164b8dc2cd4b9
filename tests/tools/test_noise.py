"""tools/dataset_tools/noise.py: manifests of a config's training set, and that they train as the tool says."""

import re
import shlex
from argparse import ArgumentParser
from pathlib import Path

import cv2
import numpy as np
import pytest
from miniature import make_rafdb
from mmengine.registry import DATASETS, DefaultScope
from scn_run import scn_run
from tools.conftest import ROOT, load_tool

from mmfer.apis import FacePredictor, read_config
from mmfer.apis.config import KeyValue
from mmfer.apis.data import noise
from mmfer.datasets.labels.noise_manifest import read_manifest
from mmfer.datasets.labels.schema import ORDERS

CLASSES = ('surprise', 'fear', 'disgust', 'happiness', 'sadness', 'anger', 'neutral')


@pytest.fixture
def scn(tmp_path_factory):
    """A run on 28 faces, of a config with symmetric noise."""
    return scn_run(tmp_path_factory)


@pytest.fixture
def main():
    return load_tool('dataset_tools/noise').main


def training_set(config, options):
    with DefaultScope.overwrite_default_scope('mmpretrain'):
        dataset = DATASETS.build(read_config(config, options).train_dataloader.dataset)
    dataset.full_init()
    return dataset


def clean_set(scn):
    return training_set(scn.config, scn.options | {'train_dataloader.dataset.label_noise': None})


def as_told(said: str):
    """The config and options of the command that the tool ends with."""
    words = shlex.split(said.splitlines()[-1])
    assert words[:3] == ['next:', 'python', 'tools/train.py']
    parser = ArgumentParser()
    parser.add_argument('config')
    parser.add_argument('--cfg-options', nargs='+', action=KeyValue)
    args = parser.parse_args(words[3:])
    return args.config, args.cfg_options


def test_the_noise_of_a_config_is_written_down_and_the_same_to_train_with(main, scn, tmp_path, capsys):
    out = tmp_path / 'new' / 'noise.csv'
    main([scn.config, str(out), *scn.typed])
    said = capsys.readouterr().out
    own = training_set(scn.config, scn.options)
    assert own.fingerprint() == training_set(*as_told(said)).fingerprint()
    manifest = read_manifest(str(out))
    assert manifest.made == dict(kind='symmetric', rate='0.3', seed='0')
    wrong = int((own.columns['label'] != own.columns['clean_label']).sum())
    assert f'{"all":14}{28:10,}{wrong:13,}{100 * wrong / 28:9.2f} %' in said
    assert f'sha256: {manifest.sha256}' in said


def test_a_manifest_holds_all_faces_whatever_a_run_leaves_out(main, scn, tmp_path, capsys):
    """Landmarks that are not there, rows that are held out: nothing to the noise."""
    less = {'train_dataloader.dataset.landmarks': 'none.npz', 'train_dataloader.dataset.indices': 9}
    typed = [*scn.typed, *(f'{key}={value}' for key, value in less.items())]
    main([scn.config, str(tmp_path / 'a.csv'), *typed])
    main([scn.config, str(tmp_path / 'b.csv'), *scn.typed])
    assert (tmp_path / 'a.csv').read_bytes() == (tmp_path / 'b.csv').read_bytes()


def test_pictures_that_cannot_be_read_have_their_row(scn, tmp_path):
    """A row's noise depends on its position, whichever rows are left out later."""
    data = make_rafdb(tmp_path / 'data', per_class=2, size=32, landmarks=False)
    key = 'train_dataloader.dataset'
    options = scn.options | {f'{key}.data_root': data, f'{key}.on_bad_image': 'skip'}
    Path(data, 'basic/Image/aligned/train_00003_aligned.jpg').unlink()
    drawn = dict(kind='symmetric', rate=0.5, seed=0)
    manifest = noise.draw_manifest(scn.config, options, drawn)
    assert len(manifest.names) == 14
    manifest.write(str(tmp_path / 'x.csv'))
    runs = [
        training_set(scn.config, options | {'train_dataloader.dataset.label_noise': label_noise})
        for label_noise in (drawn, dict(_delete_=True, kind='manifest', file=str(tmp_path / 'x.csv')))
    ]
    assert [len(run) for run in runs] == [13, 13]
    assert runs[0].fingerprint() == runs[1].fingerprint()
    with pytest.raises(ValueError, match='1 training faces cannot be read, and the network says nothing of these'):
        noise.confused_manifest(scn.config, options, [scn.checkpoint], rate=0.3)


def test_noise_takes_the_place_of_that_of_the_config_and_of_that_of_the_options():
    plain, noisy = (str(ROOT / f'configs/baseline/r18_rafdb_96px_12e{name}.py') for name in ('', '_sym30'))
    key, wanted = 'train_dataloader.dataset.label_noise', dict(kind='manifest', file='x.csv')
    for config, typed in ((plain, []), (noisy, ['a=1']), (plain, ['a=1', f'{key}.kind=symmetric', f'{key}.rate=.3'])):
        options = noise.noise_options(config, typed, wanted)
        assert options[: len(options) - len(wanted)] == [*typed[:1], *[f'{key}._delete_=True'] * (config == noisy)]
        values = dict(option.split('=') for option in options if option != 'a=1')
        assert read_config(config, values).train_dataloader.dataset.label_noise == wanted


def test_asymmetric_noise_takes_confusions(main, scn, tmp_path):
    main(
        [
            scn.config,
            str(tmp_path / 'x.csv'),
            '--kind',
            'asymmetric',
            '--rate',
            '.9',
            '--seed',
            '4',
            '--confusions',
            '{"happiness": "neutral", "fear": {"surprise": 0.5, "anger": 0.5}}',
            *scn.typed,
        ]
    )
    manifest = read_manifest(str(tmp_path / 'x.csv'))
    changed = manifest.noisy != manifest.clean
    pairs = {(CLASSES[a], CLASSES[b]) for a, b in zip(manifest.clean[changed], manifest.noisy[changed], strict=True)}
    assert ('happiness', 'neutral') in pairs
    assert pairs <= {('happiness', 'neutral'), ('fear', 'surprise'), ('fear', 'anger')}
    assert manifest.made['confusions'] == '{"happiness": "neutral", "fear": {"surprise": 0.5, "anger": 0.5}}'


def test_instance_noise_strikes_what_the_network_confuses(main, scn, tmp_path, capsys):
    out = tmp_path / 'x.csv'
    main([scn.config, str(out), '--kind', 'instance', '--rate', '.3', '--checkpoint', str(scn.checkpoint), *scn.typed])
    manifest, clean = read_manifest(str(out)), clean_set(scn)
    predictor = FacePredictor(read_config(scn.config, scn.options), scn.checkpoint, device='cpu')
    probs = predictor([cv2.imread(str(Path(clean.image_folder) / name)) for name in clean.columns['name'].tolist()])
    scores = []
    for row, label in enumerate(clean.get_gt_labels().tolist()):
        likely = max((p, -k) for k, p in enumerate(probs[row].tolist()) if k != label)
        scores.append((likely[0], row, -likely[1]))
    expected = {row: other for _, row, other in sorted(scores, reverse=True)[:8]}  # 30 % of 28
    changed = np.flatnonzero(manifest.noisy != manifest.clean)
    assert {row: manifest.noisy[row] for row in changed.tolist()} == expected
    assert np.array_equal(manifest.clean, clean.get_gt_labels())
    assert manifest.made['checkpoints'].startswith('epoch_2.pth sha256 ')
    assert 'all                   28            8    28.57 %' in capsys.readouterr().out


def test_predictions_of_several_checkpoints_are_averaged(scn, monkeypatch, tmp_path):
    found = [np.full((28, 7), 0.1), np.full((28, 7), 0.1)]
    found[0][:, 2], found[1][:, 2] = 0.4, 0.4  # together disgust is the likeliest, in neither alone
    found[0][:, 0], found[1][:, 1] = 0.5, 0.5
    given = iter(found)
    monkeypatch.setattr(noise, 'predict', lambda run, track: next(given))
    manifest = noise.confused_manifest(scn.config, scn.options, [scn.checkpoint] * 2, rate=1)
    not_disgust = manifest.clean != 2
    assert (manifest.noisy[not_disgust] == 2).all()


@pytest.mark.parametrize('order', [CLASSES, CLASSES[::-1]])
def test_a_list_counts_in_the_data_sets_own_order(main, scn, order, tmp_path, capsys):
    clean = clean_set(scn)
    noisy = clean.get_gt_labels()
    noisy[::4] = (noisy[::4] + 3) % 7
    rows = zip(clean.columns['name'].tolist(), noisy.tolist(), strict=True)
    (tmp_path / 'noise02.txt').write_text('\n'.join(f'{name.replace("_aligned", "")} {i + 1}' for name, i in rows))
    options = scn.options | {'train_dataloader.dataset.metainfo': dict(classes=list(order))}
    manifest = noise.imported_manifest(scn.config, options, tmp_path / 'noise02.txt')
    assert [manifest.classes[label] for label in manifest.noisy] == [CLASSES[label] for label in noisy]
    assert manifest.realised == 0.25
    assert manifest.made['source'].startswith('noise02.txt sha256 ')
    if order == CLASSES:
        out = str(tmp_path / 'x.csv')
        main([scn.config, out, '--import', str(tmp_path / 'noise02.txt'), *scn.typed])
        said = capsys.readouterr().out
        assert f"noise02.txt: numbers from 1 in the data set's own order: 1 {order[0]}, " in said
        assert '; 75.0 % are the labels of the training set' in said
        assert np.array_equal(training_set(*as_told(said)).columns['label'], noisy)
        main([scn.config, out, '--import', str(tmp_path / 'noise02.txt'), '--base', '1', *scn.typed])
        assert 'half of the labels' not in capsys.readouterr().out


def test_a_list_of_the_very_labels_of_the_training_set_is_noticed(main, scn, tmp_path, capsys):
    clean = clean_set(scn)
    rows = zip(clean.columns['name'].tolist(), clean.get_gt_labels().tolist(), strict=True)
    (tmp_path / 'list.txt').write_text('\n'.join(f'{name} {CLASSES[label]}' for name, label in rows))
    main([scn.config, str(tmp_path / 'x.csv'), '--import', str(tmp_path / 'list.txt'), *scn.typed])
    said = capsys.readouterr().out
    assert 'list.txt: classes by name; 100.0 % are the labels of the training set' in said
    assert 'no label changes: if you did not ask for that, these are the labels of the training set' in said


def test_the_order_that_a_message_names_can_be_typed(main, scn, tmp_path, capsys):
    clean = clean_set(scn)
    noisy, list_ = clean.get_gt_labels(), str(tmp_path / 'list.txt')
    noisy[::4] = (noisy[::4] + 3) % 7
    numbers = [ORDERS['sfew'].index(CLASSES[label]) for label in noisy]
    rows = zip(clean.columns['name'].tolist(), numbers, strict=True)
    Path(list_).write_text('\n'.join(f'{name} {number}' for name, number in rows))
    command = [scn.config, str(tmp_path / 'x.csv'), '--import', list_]
    with pytest.raises(SystemExit):
        main([*command, *scn.typed])
    said = capsys.readouterr().err
    assert 'can be read in several ways' in said
    options = re.search(r'(--base \d --order \w+) \(75.0 % are the labels', said)[1].split()
    assert options[-1] in ('sfew', 'caers')  # which count alike
    main([*command, *options, *scn.typed])
    assert np.array_equal(read_manifest(str(tmp_path / 'x.csv')).noisy, noisy)


@pytest.mark.parametrize(
    ('words', 'options', 'message'),
    [
        (['--kind', 'symmetric'], {}, '--kind symmetric needs --rate'),
        (['--kind', 'instance', '--rate', '.3'], {}, '--kind instance needs --checkpoint'),
        (
            ['--kind', 'symmetric', '--rate', '.3', '--confusions', '{}'],
            {},
            '--confusions does not go with --kind symm',
        ),
        (['--rate', '.3'], {}, "--rate does not go with the config's own label_noise"),
        (['--kind', 'symmetric', '--rate', '30'], {}, 'label noise rate must lie between 0 and 1'),
        (['--order', 'config'], {}, "--order does not go with the config's own label_noise"),
        (['--import', 'noise04.txt'], {}, 'there is no list of noisy labels noise04.txt'),
        ([], {'label_noise': None}, 'no label_noise: say what to make with --kind and --rate, or --import'),
        ([], {'label_noise': dict(kind='manifest', file='x.csv')}, 'has noise from a manifest: say what to make'),
        (
            [],
            {'label_noise.kind': 'both'},
            "must be 'symmetric', 'asymmetric', 'manifest' (other noise comes from one, which ",
        ),
        (
            ['--kind', 'symmetric', '--rate', '.3'],
            {'split': 'test'},
            "split='test': label noise is for the training split",
        ),
        (['--kind', 'symmetric', '--rate', '.3'], {'datasets': []}, 'holds other data sets, and noise belongs to one'),
    ],
)
def test_what_cannot_be_made_is_said_in_a_sentence(words, options, message, main, scn, tmp_path, capsys, monkeypatch):
    given = scn.options | {f'train_dataloader.dataset.{key}': value for key, value in options.items()}
    tool = load_tool('dataset_tools/noise')
    parse = tool.parse_args
    monkeypatch.setattr(tool, 'parse_args', lambda argv: with_options(parse(argv), given))
    with pytest.raises(SystemExit) as stopped:
        tool.main([scn.config, str(tmp_path / 'x.csv'), *words])
    assert stopped.value.code == 1
    said = capsys.readouterr().err.splitlines()[-1]
    assert said.startswith('mmfer: error: ')
    assert message in said
    assert not list(tmp_path.iterdir())


def with_options(args, options):
    """Options that --cfg-options cannot say, such as None and dicts."""
    args.cfg_options = options
    return args
