# SCN ResNet-18 on RAF-DB. The paper trains batches of 1024 with SGD (.1, /10 at 15 and 30, 40 epochs); this is the
# setting of the authors' code, which needs one GPU: Adam, x .9 an epoch, 70 epochs, 224 px, batch 64 in all:
# on N GPUs set train_dataloader.batch_size to 64 / N.
_base_ = [
    '../_base_/models/scn_resnet18.py',
    '../_base_/datasets/rafdb.py',
    '../_base_/augmentations/flip_or_noise.py',
    '../_base_/schedules/adam_exp_70e.py',
    '../_base_/supervision/scn.py',
    '../_base_/default_runtime.py',
]
model = dict(pretrained='pretrained/resnet18_msceleb.pth', supervision=dict(scn=_base_.scn))
data_preprocessor = dict(
    **_base_.flip_or_noise,
    augment_normalized=[dict(type='RandomErasing', scale=(0.02, 0.25), p=0.5)],
)
train_dataloader = dict(batch_size=64, sampler=dict(type='DefaultSampler', shuffle=True))
sync_bn = 'torch'  # ours: several GPUs train as one would
