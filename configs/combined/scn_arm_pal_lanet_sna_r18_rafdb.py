# All five methods together on RAF-DB, in the setting of LA-Net: 80 epochs, 224 px, batch 128 in all. Train SNA's
# autoencoder first: python tools/train.py configs/sna/autoencoder_rafdb.py
# On N GPUs set train_dataloader.batch_size to 128 / N. Watch scn.newly_relabelled: together with methods that learn
# more slowly SCN can relabel whole classes away (docs/benchmarks.md); then --cfg-options model.supervision.scn=None.
_base_ = [
    '../_base_/models/arm_resnet18.py',
    '../_base_/datasets/rafdb.py',
    '../_base_/schedules/adam_80e.py',
    '../_base_/supervision/scn.py',
    '../_base_/supervision/pal.py',
    '../_base_/supervision/lanet.py',
    '../_base_/supervision/sna.py',
    '../_base_/default_runtime.py',
]
model = dict(
    head=dict(type='mmfer.SCNHead'),
    pretrained='pretrained/resnet18_msceleb.pth',
    supervision=dict(scn=_base_.scn, pal=_base_.pal, lanet=_base_.lanet, sna=_base_.sna),
)
train_dataloader = dict(dataset=dict(landmarks='landmarks68.npz'))
# No sync_bn: PAL differentiates twice through the batch norm of ARM, which SyncBatchNorm cannot.
