# All five methods together on synthetic faces with 30 % symmetric label noise, 40 epochs.
# Like with like: all but the method is the baseline's. First: sna/autoencoder_synthfaces.py.
# SCN relabels whole classes away here; without it, --cfg-options model.supervision.scn=None, the rest does far better
# (docs/benchmarks.md).
_base_ = [
    '../baseline/r18_synthfaces_sym30_40e.py',
    '../_base_/supervision/scn.py',
    '../_base_/supervision/pal.py',
    '../_base_/supervision/lanet.py',
    '../_base_/supervision/sna_synthfaces.py',
]
model = dict(
    neck=dict(type='mmfer.ARM', in_channels=256, map_size=2),
    head=dict(type='mmfer.SCNHead', in_channels=81),
    supervision=dict(scn=_base_.scn, pal=_base_.pal, lanet=_base_.lanet, sna=_base_.sna),
)
sync_bn = None  # PAL differentiates twice through the batch norm of ARM, which SyncBatchNorm cannot
