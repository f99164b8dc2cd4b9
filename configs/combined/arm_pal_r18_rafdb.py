# ARM's neck under PAL on RAF-DB, in the setting of LA-Net: 80 epochs, 224 px, batch 128 in all.
# On N GPUs set train_dataloader.batch_size to 128 / N.
_base_ = [
    '../_base_/models/arm_resnet18.py',
    '../_base_/datasets/rafdb.py',
    '../_base_/schedules/adam_80e.py',
    '../_base_/supervision/pal.py',
    '../_base_/default_runtime.py',
]
model = dict(pretrained='pretrained/resnet18_msceleb.pth', supervision=dict(pal=_base_.pal))
train_dataloader = dict(dataset=dict(landmarks='landmarks68.npz'))
# No sync_bn: PAL differentiates twice through the batch norm of ARM, which SyncBatchNorm cannot.
