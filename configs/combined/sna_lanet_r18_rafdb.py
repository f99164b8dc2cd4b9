# SNA and LA-Net together on RAF-DB, in the setting of LA-Net: 80 epochs, 224 px, batch 128 in all. Train the
# autoencoder first: python tools/train.py configs/sna/autoencoder_rafdb.py
# On N GPUs set train_dataloader.batch_size to 128 / N.
_base_ = [
    '../_base_/models/resnet18.py',
    '../_base_/datasets/rafdb.py',
    '../_base_/schedules/adam_80e.py',
    '../_base_/supervision/sna.py',
    '../_base_/supervision/lanet.py',
    '../_base_/default_runtime.py',
]
model = dict(pretrained='pretrained/resnet18_msceleb.pth', supervision=dict(sna=_base_.sna, lanet=_base_.lanet))
train_dataloader = dict(dataset=dict(landmarks='landmarks68.npz'))
sync_bn = 'torch'  # several GPUs train as one would
