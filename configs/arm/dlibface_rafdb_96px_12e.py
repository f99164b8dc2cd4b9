# ARM on DlibFaceNet, RAF-DB, CPU-sized: starts from weights that know faces; otherwise the setting of
# r18_rafdb_96px_12e.py.
_base_ = ['./r18_rafdb_96px_12e.py', '../_base_/backbones/dlibface.py']
model = dict(
    pretrained='dlib://face',
    backbone=dict(_delete_=True, **_base_.dlibface),
    neck=dict(in_channels=256, map_size=2),
    head=dict(in_channels=81),
)
