import os
import pickle
import shutil

import cv2
import numpy as np
import pytest
import torch
from layouts import LAYOUTS
from miniature import make_rafdb
from mmengine.config import Config
from mmengine.dataset import default_collate, pseudo_collate
from mmengine.registry import init_default_scope
from mmengine.runner import Runner
from mmpretrain.registry import DATASETS

from mmfer.apis.data.packing import pack
from mmfer.datasets import RAFDB, ConcatFaces, ExpW, SyntheticFaces, collate_faces
from mmfer.datasets.labels.schema import ORDERS
from mmfer.datasets.packing.batches import ReadBatch

SIZE = 24
PIPELINE = [dict(type='mmfer.LoadFace', size=SIZE), dict(type='mmfer.PackFace')]
NOISE = dict(kind='symmetric', rate=0.5)


@pytest.fixture(scope='module')
def source(tmp_path_factory):
    """A miniature RAF-DB of 32 px, one image of 40 x 20, one of the packed size, and its pack."""
    folder = tmp_path_factory.mktemp('packed')
    data = folder / 'raf-db'
    make_rafdb(data, per_class=2, size=32, test_per_class=1)
    for name, shape in (('train_00003', (20, 40)), ('train_00004', (SIZE, SIZE))):
        path = str(data / f'basic/Image/aligned/{name}_aligned.jpg')
        cv2.imwrite(path, cv2.resize(cv2.imread(path), shape))
    dataset = dict(type='mmfer.RAFDB', data_root=str(data), landmarks='landmarks68.npz', pipeline=PIPELINE)
    cfg = Config({f'{split}_dataloader': dict(dataset=dict(dataset, split=split)) for split in ('train', 'test')})
    assert pack(cfg, folder / 'faces.pack').images == 21
    return folder


@pytest.fixture
def copy(source, tmp_path):
    """One to be spoilt."""
    return shutil.copytree(source, tmp_path / 'copy')


def rafdb(folder, packed=True, **settings):
    settings = dict(landmarks='landmarks68.npz', pipeline=PIPELINE) | settings
    return RAFDB(str(folder / 'raf-db'), packed=str(folder / 'faces.pack') if packed else None, **settings)


def one_by_one(dataset, rows):
    return collate_faces([dataset[row] for row in rows])


def assert_same(ours, theirs):
    assert torch.equal(ours['inputs'], theirs['inputs'])
    assert ours['inputs'].dtype == torch.uint8
    assert ours['inputs'].is_contiguous()
    columns = [batch['data_samples'].columns() for batch in (ours, theirs)]
    assert columns[0].keys() == columns[1].keys()
    for name, column in columns[1].items():
        assert column.dtype == columns[0][name].dtype
        torch.testing.assert_close(columns[0][name], column, rtol=0, atol=0, equal_nan=True, msg=name)
    assert list(ours['data_samples'].metainfo) == list(theirs['data_samples'].metainfo)


@pytest.mark.parametrize(
    'settings',
    [
        {},
        dict(landmarks=None),
        dict(label_noise=NOISE),
        dict(holdout=dict(fraction=0.5)),
        dict(split='val', holdout=dict(fraction=0.5)),
        dict(split='test'),
        dict(indices=[5, 2, 9, 3, 11]),
        dict(indices=-8),
        dict(metainfo=dict(classes='affectnet7')),
        dict(metainfo=dict(classes=ORDERS['rafdb'][:6]), drop_classes=['neutral']),
    ],
    ids=str,
)
def test_batches_are_those_of_the_images_to_the_bit(source, settings):
    plain, packed = rafdb(source, packed=False, **settings), rafdb(source, **settings)
    assert packed.fingerprint() == plain.fingerprint()
    rows = np.random.default_rng(0).permutation(len(plain)).tolist()
    at_once = packed.__getitems__(rows)
    assert isinstance(at_once, ReadBatch)
    assert_same(collate_faces(at_once), one_by_one(plain, rows))
    assert_same(one_by_one(packed, rows), one_by_one(plain, rows))


def test_parts_of_a_dataset_are_read_at_once_too(source):
    plain, packed = (rafdb(source, packed=is_packed).get_subset([7, 3, 2]) for is_packed in (False, True))
    assert_same(collate_faces(packed.__getitems__([2, 0])), one_by_one(plain, [2, 0]))
    assert packed[-1]['data_samples'].img_path == plain[2]['data_samples'].img_path
    with pytest.raises(IndexError, match=r'3 faces.*-4'):
        packed.__getitems__([0, -4])


def test_a_batch_is_a_list_of_samples_for_every_collate_function(source):
    plain, packed = rafdb(source, packed=False), rafdb(source)
    rows = [4, 2, 3]
    samples = packed.__getitems__(rows)
    assert len(samples) == 3
    for collate in (pseudo_collate, default_collate):
        ours, theirs = collate(samples), collate([plain[row] for row in rows])
        assert all(torch.equal(*pair) for pair in zip(ours['inputs'], theirs['inputs'], strict=True))
        for face, other in zip(ours['data_samples'], theirs['data_samples'], strict=True):
            assert (face.img_path, face.ori_shape, face.img_shape, face.sample_idx) == (
                other.img_path,
                other.ori_shape,
                other.img_shape,
                other.sample_idx,
            )
            assert torch.equal(face.gt_label, other.gt_label)
            assert torch.equal(face.landmarks, other.landmarks)


def test_other_pipelines_are_run_face_by_face(source):
    flipped = dict(pipeline=[PIPELINE[0], dict(type='RandomFlip', prob=1.0), PIPELINE[1]], landmarks=None)
    samples = rafdb(source, **flipped).__getitems__([1, 3])
    assert not isinstance(samples, ReadBatch)
    assert_same(collate_faces(samples), one_by_one(rafdb(source, packed=False, **flipped), [1, 3]))


def test_formats_that_change_what_a_sample_is_are_read_face_by_face(source):

    class Grey(RAFDB):
        def get_data_info(self, idx):
            info = super().get_data_info(idx)
            return dict(info, img=np.full_like(info['img'], 7))

    dataset = Grey(str(source / 'raf-db'), packed=str(source / 'faces.pack'), pipeline=PIPELINE)
    assert (collate_faces(dataset.__getitems__([0, 1]))['inputs'] == 7).all()


def test_faces_in_memory_are_read_at_once():
    faces = SyntheticFaces(
        num=9,
        size=16,
        cache_dir=None,
        label_noise=NOISE,
        pipeline=[dict(type='mmfer.LoadFace'), dict(type='mmfer.PackFace')],
    )
    samples = faces.__getitems__([8, 0, 3])
    assert isinstance(samples, ReadBatch)
    assert_same(collate_faces(samples), one_by_one(faces, [8, 0, 3]))
    resized = SyntheticFaces(num=9, size=16, cache_dir=None, pipeline=PIPELINE).__getitems__([1, 2])
    assert not isinstance(resized, ReadBatch)
    assert collate_faces(resized)['inputs'].shape == (2, 3, SIZE, SIZE)
    with pytest.raises(ValueError, match=r"SyntheticFaces has its images in memory already; take packed='x' out"):
        SyntheticFaces(num=9, size=16, cache_dir=None, packed='x')


def test_several_datasets_are_read_at_once_and_unknown_columns_filled(source):
    def both(packed):
        return ConcatFaces(
            [rafdb(source, packed, label_noise=NOISE), rafdb(source, packed, split='test', landmarks=None)]
        )

    plain, packed = both(False), both(True)
    for rows in ([15, 3, 20, 0, 3], [16, 20], [2, 1], [-1, 0]):
        samples = packed.__getitems__(rows)
        assert isinstance(samples, ReadBatch)
        assert_same(collate_faces(samples), one_by_one(plain, rows))
    mixed = ConcatFaces([rafdb(source), rafdb(source, packed=False, split='test')]).__getitems__([3, 15])
    assert not isinstance(mixed, ReadBatch)
    assert_same(
        collate_faces(mixed),
        one_by_one(ConcatFaces([rafdb(source, packed=False), rafdb(source, packed=False, split='test')]), [3, 15]),
    )


@pytest.mark.parametrize('workers', [0, 2])
@pytest.mark.filterwarnings('ignore:This process .* is multi-threaded:DeprecationWarning')
def test_a_loader_built_by_mmengine_gives_the_same_epochs(source, workers):
    init_default_scope('mmpretrain')

    def epochs(packed):
        loader = Runner.build_dataloader(
            dict(
                batch_size=4,
                num_workers=workers,
                dataset=rafdb(source, packed),
                collate_fn=dict(type='mmfer.collate_faces'),
                sampler=dict(type='mmfer.ProgressiveSampler', max_epochs=2),
            ),
            seed=0,
        )
        for epoch in range(2):
            loader.sampler.set_epoch(epoch)
            yield from loader

    for ours, theirs in zip(epochs(True), epochs(False), strict=True):
        assert_same(ours, theirs)


def test_it_is_pickled_as_a_path(source):
    dataset = rafdb(source)
    content = pickle.dumps(dataset.columns['image'])
    assert len(content) < 1000
    again = pickle.loads(content)
    assert again.shape == (14, SIZE, SIZE, 3)
    assert np.array_equal(again.read(np.array([3, 0])), dataset.columns['image'].read(np.array([3, 0])))


@pytest.mark.parametrize(
    ('spoil', 'sentence'),
    [
        (
            lambda labels, image: labels.write_text(labels.read_text() + 'train_00099.jpg 1\n'),
            r'lacks 1 of 15 images \(train_00099_aligned\.jpg\)',
        ),
        (
            lambda labels, image: labels.write_text(labels.read_text().replace(' 3', ' 4')),
            r'the labels of 2 of 14 images \(train_.*\) have changed since',
        ),
        (
            lambda labels, image: image.write_bytes(image.read_bytes() + b'\0'),
            r'1 of 14 images \(train_00007_aligned\.jpg\) in .* have changed since',
        ),
        # As many bytes at another time: only the content can tell.
        (
            lambda labels, image: (image.write_bytes(image.read_bytes()[:-2] + b'\0\0'), os.utime(image, ns=(5, 5))),
            r'1 of 14 images \(train_00007_aligned\.jpg\) in .* have changed since',
        ),
    ],
)
def test_another_source_is_refused(copy, spoil, sentence):
    assert len(rafdb(copy)) == 14
    labels, images = copy / 'raf-db/basic/EmoLabel/list_patition_label.txt', copy / 'raf-db/basic/Image/aligned'
    shutil.copy(images / 'train_00001_aligned.jpg', images / 'train_00099_aligned.jpg')
    spoil(labels, images / 'train_00007_aligned.jpg')
    with pytest.raises(ValueError, match=rf'{sentence}.*; pack again: python tools/dataset_tools/pack\.py CONFIG'):
        rafdb(copy)


def test_a_copied_folder_is_the_same_source(copy, monkeypatch):
    lines = []
    monkeypatch.setattr('mmfer.datasets.packing.packed.print_log', lambda text, **kwargs: lines.append(text))
    assert len(rafdb(copy)) == 14
    assert not lines
    for path in (copy / 'raf-db/basic/Image/aligned').iterdir():
        os.utime(path, (9, 9))
    assert len(rafdb(copy)) == 14
    assert lines == [lines[0]]
    assert '14 images have another time' in lines[0]


@pytest.mark.parametrize(
    ('pipeline', 'sentence'),
    [
        (
            [dict(type='mmfer.LoadFace', size=32), PIPELINE[1]],
            r'images of 24 x 24 pixels, but the pipeline asks for LoadFace\(size=\(32, 32\)\).*--size 32',
        ),
        ([dict(type='mmfer.LoadFace'), PIPELINE[1]], r'24 x 24 pixels, but LoadFace leaves them as they are stored'),
        ([dict(type='LoadImageFromFile'), PIPELINE[0]], 'but the pipeline begins with LoadImageFromFile'),
    ],
)
def test_a_pipeline_that_would_give_other_images_is_refused(source, pipeline, sentence):
    init_default_scope('mmpretrain')
    with pytest.raises(ValueError, match=sentence):
        rafdb(source, pipeline=pipeline)


def test_a_pack_of_other_classes_is_refused(source):
    other = type('Other', (RAFDB,), dict(METAINFO=dict(classes=ORDERS['rafdb'][::-1])))
    with pytest.raises(ValueError, match=r'pack is of the classes surprise, fear, .*, but Other has neutral, anger'):
        other(str(source / 'raf-db'), packed=str(source / 'faces.pack'))


def test_images_left_out_are_left_out_packed_too(copy):
    path = copy / 'raf-db/basic/Image/aligned/train_00007_aligned.jpg'
    path.write_bytes(path.read_bytes()[:300])
    settings = dict(type='mmfer.RAFDB', data_root=str(copy / 'raf-db'), pipeline=PIPELINE, on_bad_image='skip')
    assert pack(Config(dict(train_dataloader=dict(dataset=settings))), copy / 'faces.pack').images == 13
    skip = dict(on_bad_image='skip', label_noise=NOISE)
    plain, packed = rafdb(copy, packed=False, **skip), rafdb(copy, **skip)
    assert packed.fingerprint() == plain.fingerprint()
    assert_same(collate_faces(packed.__getitems__(range(13))), one_by_one(plain, range(13)))


@pytest.mark.parametrize('name', LAYOUTS)
def test_every_dataset_gives_the_same_batches_packed(tmp_path, name):
    LAYOUTS[name](tmp_path / 'data')
    settings = dict(type=f'mmfer.{name}', data_root=str(tmp_path / 'data'), pipeline=PIPELINE)
    plain = DATASETS.build(settings)
    cfg = Config(dict(train_dataloader=dict(dataset=settings)))
    if 'image' in plain.columns:
        with pytest.raises(ValueError, match=f'{name}, whose images are in memory already'):
            pack(cfg, tmp_path / 'x.pack')
        return
    pack(cfg, tmp_path / 'x.pack')
    packed = DATASETS.build(dict(settings, packed=str(tmp_path / 'x.pack')))
    assert packed.fingerprint() == plain.fingerprint()
    rows = np.random.default_rng(0).permutation(len(plain)).tolist()
    samples = packed.__getitems__(rows)
    assert isinstance(samples, ReadBatch)
    assert_same(collate_faces(samples), one_by_one(plain, rows))


def test_a_face_cut_out_elsewhere_is_refused(tmp_path):
    LAYOUTS['ExpW'](tmp_path / 'data')
    settings = dict(type='mmfer.ExpW', data_root=str(tmp_path / 'data'), pipeline=PIPELINE)
    pack(Config(dict(train_dataloader=dict(dataset=settings))), tmp_path / 'x.pack')
    labels = tmp_path / 'data' / ExpW.LABEL_FILE
    first, *rest = labels.read_text().splitlines()
    name, number, top, *others = first.split()
    labels.write_text('\n'.join([' '.join([name, number, str(int(top) + 1), *others]), *rest]))
    with pytest.raises(ValueError, match=r'the boxes of 1 of \d+ images .* have changed since .*; pack again'):
        DATASETS.build(dict(settings, packed=str(tmp_path / 'x.pack')))


def test_a_packed_dataset_refuses_steps_that_leave_landmarks_behind(source):
    init_default_scope('mmpretrain')
    with pytest.raises(ValueError, match='RAFDB train: RandomFlip of the pipeline moves picture and landmarks apart'):
        rafdb(source, pipeline=[PIPELINE[0], dict(type='RandomFlip', prob=0.5), PIPELINE[1]])
    negative = rafdb(source, pipeline=[PIPELINE[0], dict(type='Invert', prob=1.0), PIPELINE[1]])
    assert not isinstance(negative.__getitems__([0, 1]), ReadBatch)
    plain = one_by_one(rafdb(source), [0, 1])['data_samples'].landmarks
    assert torch.equal(one_by_one(negative, [0, 1])['data_samples'].landmarks, plain)


def test_a_pack_that_lacks_an_array_is_none_of_faces(copy):
    path = copy / 'faces.pack'
    path.write_bytes(path.read_bytes().replace(b'"mtime"', b'"xtime"'))
    with pytest.raises(ValueError, match=r'faces\.pack lacks what is to be known of its faces.*pack again: python'):
        rafdb(copy).full_init()


def test_a_pack_whose_classes_are_no_list(copy, monkeypatch):
    path = copy / 'faces.pack'
    data = path.read_bytes()
    path.write_bytes(data.replace(b'[\\"surprise\\"', b' \\"surprise\\"', 1))
    with pytest.raises(ValueError, match=r'faces\.pack is damaged: what it says of its images differs'):
        rafdb(copy).full_init()
    monkeypatch.setattr('mmfer.datasets.packing.packed.check_columns', lambda *args: None)  # written so on purpose
    with pytest.raises(ValueError, match=r'the classes of .*faces\.pack are no list of names'):
        rafdb(copy).full_init()
