# LA-Net on DlibFaceNet, RAF-DB: starts from weights that know faces, and takes faces of 150 px, as these did;
# otherwise the setting of r18_rafdb.py.
_base_ = ['./r18_rafdb.py', '../_base_/backbones/dlibface.py']
model = dict(
    pretrained='dlib://face',
    backbone=dict(_delete_=True, **_base_.dlibface),
    head=dict(in_channels=256),
)
data_preprocessor = dict(size=150)
