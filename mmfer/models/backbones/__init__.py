"""Networks that know faces, beside those of mmpretrain."""

from mmfer.models.backbones.dlib_face_net import DlibFaceNet

__all__ = ['DlibFaceNet']
