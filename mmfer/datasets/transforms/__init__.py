"""What happens to one face before it is batched; augmentation is on the device, in the data preprocessor."""

from mmfer.datasets.transforms.load_face import LoadFace
from mmfer.datasets.transforms.pack_face import PackFace

__all__ = ['LoadFace', 'PackFace']
