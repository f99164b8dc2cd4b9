# All five methods together on DlibFaceNet, RAF-DB, CPU-sized: starts from weights that know faces; otherwise the
# setting of scn_arm_pal_lanet_sna_r18_rafdb_96px_12e.py. SNA's autoencoder first: sna/autoencoder_rafdb_96px.py.
_base_ = ['./scn_arm_pal_lanet_sna_r18_rafdb_96px_12e.py', '../_base_/backbones/dlibface.py']
model = dict(
    pretrained='dlib://face',
    backbone=dict(_delete_=True, **_base_.dlibface),
    neck=dict(in_channels=256, map_size=2),
    head=dict(in_channels=81),
)
