# All five methods together on RAF-DB, CPU-sized: 96 px, 12 epochs, from scratch. Like with like: data, augmentation,
# sampler and schedule are the baseline's.
# SNA's autoencoder first: python tools/train.py configs/sna/autoencoder_rafdb_96px.py
_base_ = [
    '../baseline/r18_rafdb_96px_12e.py',
    '../_base_/supervision/scn_12e.py',
    '../_base_/supervision/pal.py',
    '../_base_/supervision/lanet.py',
    '../_base_/supervision/sna_rafdb_96px.py',
]
model = dict(
    neck=dict(type='mmfer.ARM', in_channels=512, map_size=3),
    head=dict(type='mmfer.SCNHead', in_channels=81),
    supervision=dict(scn=_base_.scn, pal=_base_.pal, lanet=_base_.lanet, sna=_base_.sna),
)
train_dataloader = dict(dataset=dict(landmarks='landmarks68.npz'))
sync_bn = None  # PAL differentiates twice through the batch norm of ARM, which SyncBatchNorm cannot
