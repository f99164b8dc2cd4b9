"""Packing as a command: what it writes, what it refuses, and that a kill does no harm."""

import itertools
import json
import os
import random
import signal
import threading
import time
from pathlib import Path

import cv2
import numpy as np
import pytest
from miniature import NAMES, make_rafdb
from mmengine.config import Config
from tools.conftest import load_tool
from tqdm import tqdm

from mmfer.apis.data.packing import pack
from mmfer.datasets import RAFDB, LoadFace
from mmfer.datasets.packing import pack_file
from mmfer.datasets.packing.pack_file import read_pack, split_names

LABELS = 'basic/EmoLabel/list_patition_label.txt'


def config(data, **datasets):
    """Loaders of a miniature RAF-DB, `split=dict(...)` each."""
    pipeline = [dict(type='mmfer.LoadFace', size=20), dict(type='mmfer.PackFace')]
    return Config(
        {
            f'{split}_dataloader': dict(
                dataset=dict(dict(type='mmfer.RAFDB', data_root=str(data), split=split, pipeline=pipeline), **more)
            )
            for split, more in datasets.items()
        }
    )


@pytest.fixture
def data(tmp_path):
    return make_rafdb(tmp_path / 'raf-db', per_class=2, size=32, test_per_class=1)


def test_a_pack_holds_what_load_face_makes_labels_landmarks_and_names(data, tmp_path):
    noisy = dict(
        label_noise=dict(kind='symmetric', rate=0.9), holdout=dict(fraction=0.5), indices=3, landmarks='landmarks68.npz'
    )
    done = pack(config(data, train=noisy, val=dict(holdout=dict(fraction=0.5)), test={}), tmp_path / 'x.pack')
    assert (done.images, done.size, done.written) == (21, (20, 20), True)
    assert done.datasets == tuple(f'{split}_dataloader.dataset' for split in ('train', 'val', 'test'))
    metadata, arrays = read_pack(tmp_path / 'x.pack')
    assert json.loads(metadata['classes']) == list(NAMES)
    lines = [line.split() for line in Path(data, LABELS).read_text().splitlines()]
    names = [name.replace('.jpg', '_aligned.jpg') for name, _ in lines]
    assert split_names(arrays['name']) == names
    assert arrays['label'].tolist() == [int(label) - 1 for _, label in lines]
    with np.load(os.path.join(data, 'landmarks68.npz')) as stored:
        points = dict(zip(stored['names'].tolist(), stored['points'], strict=True))
    for i, name in enumerate(names):
        path = os.path.join(data, 'basic/Image/aligned', name)
        image = cv2.resize(cv2.imread(path), (20, 20), interpolation=cv2.INTER_AREA)
        assert np.array_equal(arrays['image'][i].transpose(1, 2, 0), image)
        assert (arrays['bytes'][i], arrays['mtime'][i]) == (os.path.getsize(path), os.stat(path).st_mtime_ns)
        trained = name.startswith('train')  # the test set was configured without landmarks
        assert arrays['landmark_valid'][i] == trained
        if trained:
            np.testing.assert_allclose(arrays['landmarks'][i], (points[name] + 0.5) * 20 / 32 - 0.5, atol=1e-5)
    assert arrays['ori_shape'].tolist() == [[32, 32]] * 21
    assert len(set(arrays['hash'].tolist())) == 21


def test_the_command_says_how_to_train_with_it(data, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    config(data, train={}, test={}).dump('faces.py')
    main = load_tool('dataset_tools/pack').main
    main(['faces.py', 'x.pack', '--split', 'train', '--size', '16', '--workers', '2'])
    said = capsys.readouterr().out
    assert 'x.pack has 14 faces of 16 x 16 pixels' in said
    command = said.splitlines()[-1]
    options = dict(word.split('=') for word in command.split('--cfg-options ')[1].split())
    cfg = Config.fromfile('faces.py')
    cfg.merge_from_dict(dict(options, **{'train_dataloader.dataset.pipeline.0.size': 16}))
    assert options['train_dataloader.dataset.pipeline.0.size'] == '16'
    settings = cfg.train_dataloader.dataset.to_dict()
    settings.pop('type')
    assert RAFDB(**settings)[3]['inputs'].shape == (3, 16, 16)
    main(['faces.py', 'x.pack', '--split', 'train', '--size', '16'])
    assert 'x.pack is up to date: 14 faces' in capsys.readouterr().out
    main(['faces.py', 'x.pack'])  # all of it, at the pipeline's size
    assert 'x.pack has 21 faces of 20 x 20 pixels' in capsys.readouterr().out


def refusals(data):
    other = make_rafdb(data + '-other', per_class=1, size=32)
    in_memory = dict(type='mmfer.SyntheticFaces', num=2, size=16, cache_dir=None)
    two_folders = dict(
        type='mmfer.ConcatFaces',
        datasets=[config(root, train={}).train_dataloader.dataset.to_dict() for root in (data, other)],
    )
    stock = dict(type='CustomDataset', data_root=data)
    return {
        'SyntheticFaces, whose images are in memory already': in_memory,
        'a pack has the images of one folder': two_folders,
        'train_dataloader.dataset is a CustomDataset, which cannot read packed images': stock,
        'ask LoadFace for the sizes nothing: give --size': dict(type='mmfer.RAFDB', data_root=data),
    }


@pytest.mark.parametrize('number', range(4))
def test_what_cannot_be_packed_is_said_in_one_sentence(data, tmp_path, monkeypatch, capsys, number):
    monkeypatch.chdir(tmp_path)
    sentence, dataset = list(refusals(data).items())[number]
    Config(dict(train_dataloader=dict(dataset=dataset))).dump('faces.py')
    with pytest.raises(SystemExit):
        load_tool('dataset_tools/pack').main(['faces.py', 'x.pack'])
    assert sentence in capsys.readouterr().err
    assert not os.path.exists('x.pack')


def test_a_config_without_the_split_is_refused(data, tmp_path):
    with pytest.raises(ValueError, match='no dataset to pack in val_dataloader'):
        pack(config(data, train={}), tmp_path / 'x.pack', ['val'])


@pytest.mark.parametrize('change', ['label', 'image', 'landmarks'])
def test_a_changed_source_is_packed_anew(data, tmp_path, change):
    cfg = config(data, train=dict(landmarks='landmarks68.npz'))
    assert pack(cfg, tmp_path / 'x.pack').written
    assert not pack(cfg, tmp_path / 'x.pack').written
    if change == 'label':
        path = Path(data, LABELS)
        path.write_text(path.read_text().replace(' 3', ' 4'))
    elif change == 'image':
        path = os.path.join(data, 'basic/Image/aligned/train_00002_aligned.jpg')
        cv2.imwrite(path, np.full((32, 32, 3), 9, np.uint8))
    else:
        with np.load(os.path.join(data, 'landmarks68.npz')) as stored:
            arrays = dict(stored)
        np.savez(os.path.join(data, 'landmarks68.npz'), **dict(arrays, points=arrays['points'] + 1))
    before = (tmp_path / 'x.pack').read_bytes()
    assert pack(cfg, tmp_path / 'x.pack').written
    assert (tmp_path / 'x.pack').read_bytes() != before


@pytest.mark.skipif(not hasattr(os, 'fork'), reason='kills a copy of this process')
@pytest.mark.filterwarnings('ignore:This process .* is multi-threaded:DeprecationWarning')
def test_killed_ten_times_at_random_it_ends_with_the_bytes_of_an_undisturbed_run(tmp_path, monkeypatch):
    data = make_rafdb(tmp_path / 'raf-db', per_class=20, size=32, test_per_class=0)
    cfg = config(data, train=dict(landmarks='landmarks68.npz'))
    monkeypatch.setattr(pack_file, '_CHUNK', 1)
    pack(cfg, tmp_path / 'whole.pack', workers=1)
    transform, draw, done = LoadFace.transform, random.Random(0), []

    def slow(self, results):
        time.sleep(0.005)
        if next(loaded) == last:
            threading.Timer(delay, os.kill, (os.getpid(), signal.SIGKILL)).start()
        return transform(self, results)

    monkeypatch.setattr(LoadFace, 'transform', slow)
    for _ in range(10):
        loaded, last, delay = itertools.count(), draw.randrange(8), draw.uniform(0, 0.01)
        child = os.fork()
        if child == 0:
            tqdm.set_lock(threading.RLock())  # the default one is shared with the parent, and dies locked
            pack(cfg, tmp_path / 'x.pack', workers=1)
            os._exit(0)
        assert os.WTERMSIG(os.waitpid(child, 0)[1]) == signal.SIGKILL
        part = tmp_path / 'x.pack.part'
        done.append(part.stat().st_size if part.exists() else 0)
    assert done == sorted(done)
    assert len(set(done)) > 3  # the kills came at different moments, and each run went on where the last had stopped
    assert not (tmp_path / 'x.pack').exists()
    last = -1
    assert pack(cfg, tmp_path / 'x.pack', workers=1).written
    assert (tmp_path / 'x.pack').read_bytes() == (tmp_path / 'whole.pack').read_bytes()
    assert not (tmp_path / 'x.pack.part').exists()
