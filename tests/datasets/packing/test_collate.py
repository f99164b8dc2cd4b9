import numpy as np
import pytest
import torch
from mmengine.registry import FUNCTIONS, DefaultScope

from mmfer.datasets import LoadFace, PackFace, collate_faces
from mmfer.structures.face_batch import FaceBatch


def packed(index, height=4, width=6):
    results = dict(
        img=np.full((height, width, 3), index, np.uint8),
        img_path=f'face{index}.jpg',
        gt_label=index,
        sample_idx=index,
        landmarks=np.full((68, 2), index, np.float32),
        landmark_valid=True,
    )
    return PackFace()(LoadFace()(results))


def test_a_batch_is_one_uint8_tensor_and_one_face_batch():
    batch = collate_faces([packed(0), packed(2), packed(1)])
    assert batch['inputs'].shape == (3, 3, 4, 6)
    assert batch['inputs'].dtype == torch.uint8
    assert batch['inputs'][:, 0, 0, 0].tolist() == [0, 2, 1]
    assert isinstance(batch['data_samples'], FaceBatch)
    assert batch['data_samples'].label.tolist() == [0, 2, 1]
    assert batch['data_samples'].landmarks[:, 5, 1].tolist() == [0, 2, 1]
    assert batch['data_samples'].metainfo[1]['img_path'] == 'face2.jpg'


def test_images_of_different_sizes_name_two_files_and_the_cure():
    with pytest.raises(ValueError, match=r'face0\.jpg is 4 x 6 and face1\.jpg is 5 x 6;.*LoadFace.*size'):
        collate_faces([packed(0), packed(2), packed(1, height=5)])


def test_configs_find_it_by_name():
    with DefaultScope.overwrite_default_scope('mmpretrain'):
        assert FUNCTIONS.get('mmfer.collate_faces') is collate_faces
