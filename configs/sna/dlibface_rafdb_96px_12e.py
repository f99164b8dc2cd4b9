# SNA on DlibFaceNet, RAF-DB, CPU-sized: starts from weights that know faces; otherwise the setting of
# r18_rafdb_96px_12e.py. First: autoencoder_rafdb_96px.py.
_base_ = ['./r18_rafdb_96px_12e.py', '../_base_/backbones/dlibface.py']
model = dict(
    pretrained='dlib://face',
    backbone=dict(_delete_=True, **_base_.dlibface),
    head=dict(in_channels=256),
)
