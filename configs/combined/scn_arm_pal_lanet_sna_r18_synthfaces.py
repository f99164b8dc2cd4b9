# All five methods together on the built-in synthetic faces; all but the methods is the baseline's.
# SNA's autoencoder first: python tools/train.py configs/sna/autoencoder_synthfaces.py
_base_ = [
    '../baseline/r18_synthfaces.py',
    '../_base_/supervision/scn_12e.py',
    '../_base_/supervision/pal.py',
    '../_base_/supervision/lanet.py',
    '../_base_/supervision/sna_synthfaces.py',
]
model = dict(
    neck=dict(type='mmfer.ARM', in_channels=512, map_size=2),
    head=dict(type='mmfer.SCNHead', in_channels=81),
    supervision=dict(scn=_base_.scn, pal=_base_.pal, lanet=_base_.lanet, sna=_base_.sna),
)
sync_bn = None  # PAL differentiates twice through the batch norm of ARM, which SyncBatchNorm cannot
