"""Every dataset in its exact layout: loads, is labelled as its files say, gives batches; and says what is missing."""

import re
from pathlib import Path

import numpy as np
import pytest
from layouts import LAYOUTS, NAMES, OTHER_LAYOUTS
from mmpretrain.registry import DATASETS

import mmfer.datasets
from mmfer.datasets import collate_faces
from mmfer.datasets.labels.schema import ORDERS, canonical

CASES = [(name, make) for layouts in (LAYOUTS, OTHER_LAYOUTS) for name, make in layouts.items()]
IDS = [f'{name}-{"files" if i < len(LAYOUTS) else "other"}' for i, (name, _) in enumerate(CASES)]
ORDER_OF = {
    'RAFDB': 'rafdb',
    'RAFDBCompound': 'rafdb_compound',
    'AffectNet': 'affectnet8',
    'FER2013': 'fer2013',
    'FERPlus': 'ferplus',
    'SFEW': 'sfew',
    'ExpW': 'expw',
    'CAERS': 'caers',
}
PIPELINE = [dict(type='mmfer.LoadFace', size=32), dict(type='mmfer.PackFace')]


def classes_of(name):
    return getattr(mmfer.datasets, name).METAINFO.get('classes') or tuple(sorted(ORDERS['rafdb']))


def splits_of(name):
    return ('train', 'val', 'test') if name in ('FolderFaces', 'CsvFaces') else getattr(mmfer.datasets, name).SPLITS


@pytest.mark.parametrize(('name', 'make'), CASES, ids=IDS)
def test_loads_with_the_labels_of_the_files(name, make, tmp_path):
    """The writer gives face number n the class n modulo K, or puts it in a folder of that name."""
    make(tmp_path)
    classes, everything = classes_of(name), []
    for split in splits_of(name):
        dataset = DATASETS.build(dict(type=f'mmfer.{name}', data_root=str(tmp_path), split=split, pipeline=PIPELINE))
        assert dataset.metainfo['classes'] == classes
        if name in ORDER_OF:
            assert classes == ORDERS[ORDER_OF[name]]
        assert np.bincount(dataset.get_gt_labels()).min() >= 2
        for row, label in zip(dataset.columns['name'].tolist(), dataset.get_gt_labels(), strict=True):
            folders = [part for part in Path(row).parts[:-1] if canonical(part) in NAMES]
            if folders:
                expected = canonical(folders[0])
            else:
                number = int(re.findall(r'\d+', row)[-2 if name == 'ExpW' else -1])
                number -= {'RAFDB': 1, 'RAFDBCompound': 1}.get(name, 0)
                number -= number // 25 if name == 'FERPlus' else 0  # the 25th of a split is 'unknown'
                if name == 'ExpW':  # two faces an image, which is called after the second's number
                    number += int(Path(row).stem[-1]) - 1
                order = ORDERS['rafdb'] if name == 'CsvFaces' else classes
                expected = order[number % len(order)]
            assert classes[label] == expected, row
        batch = collate_faces([dataset[i] for i in range(len(dataset))])
        assert batch['inputs'].shape == (len(dataset), 3, 32, 32)
        assert batch['inputs'].float().std() > 20
        everything += dataset.columns['name'].tolist()
    assert len(set(everything)) == len(everything)


EXPECTED = {
    'RAFDB': ('basic/EmoLabel/list_patition_label.txt', 'basic/Image/aligned', 'http://www.whdeng.cn'),
    'RAFDBCompound': ('compound/EmoLabel/list_patition_label.txt', 'compound/Image/aligned', 'http://www.whdeng.cn'),
    'AffectNet': ('train_set/images', 'train_set/annotations', 'mohammadmahoor.com', 'training.csv'),
    'FER2013': ('fer2013.csv', 'https://www.kaggle.com', 'Training, PublicTest and PrivateTest'),
    'FERPlus': ('fer2013new.csv', 'fer2013.csv', 'https://github.com/microsoft/FERPlus', 'https://www.kaggle.com'),
    'SFEW': ('Train_Aligned_Faces', 'apply at https://'),
    'ExpW': ('label/label.lst', 'image', 'http://mmlab.ie.cuhk.edu.hk'),
    'CAERS': ('train', 'test', 'https://caer-dataset.github.io'),
    'FolderFaces': ('train', 'put a folder for each class there'),
    'CsvFaces': ('faces.csv', "write it with the header 'name,label,split'"),
}


@pytest.mark.parametrize('there', [True, False])
@pytest.mark.parametrize('name', EXPECTED)
def test_an_empty_folder_says_what_is_expected_and_where_to_get_it(name, there, tmp_path):
    root = tmp_path / 'data'
    if there:
        root.mkdir()
    with pytest.raises(FileNotFoundError) as error:
        getattr(mmfer.datasets, name)(str(root))
    text = str(error.value)
    assert text.startswith(f'{name} expects {EXPECTED[name][0]}')
    assert [part for part in EXPECTED[name] if part not in text] == []
    assert ('lacks this' if there else 'does not exist') in text
    assert str(root) in text


def test_every_dataset_has_a_miniature():
    formats = {
        name
        for name in mmfer.datasets.__all__
        if isinstance(getattr(mmfer.datasets, name), type)
        and issubclass(getattr(mmfer.datasets, name), mmfer.datasets.FaceDataset)
    }
    assert formats - {'FaceDataset', 'SyntheticFaces'} == set(LAYOUTS) == set(EXPECTED)


@pytest.mark.parametrize('name', ORDER_OF)
def test_published_counts_fit_the_classes_and_the_docstring(name):
    cls = getattr(mmfer.datasets, name)
    for split, counts in cls.COUNTS.items():
        assert split in cls.SPLITS
        assert len(counts) in (1, len(cls.METAINFO['classes']))
        if name != 'AffectNet' or split == 'train':
            assert f'{sum(counts):,}' in cls.__doc__
    assert cls.COUNTS or name in ('CAERS', 'SFEW')


@pytest.mark.parametrize('name', ['AffectNet', 'SFEW', 'ExpW'])
def test_no_public_test_split(name, tmp_path):
    with pytest.raises(ValueError, match=f"{name} has no test split with public labels; give split='val', or "):
        getattr(mmfer.datasets, name)(str(tmp_path), split='test')
