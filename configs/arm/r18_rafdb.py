# ARM ResNet-18 on RAF-DB, the setting of the authors' code: Adam, x .9 an epoch, 70 epochs, 224 px, batch 256 in all:
# on N GPUs set train_dataloader.batch_size to 256 / N.
_base_ = [
    '../_base_/models/arm_resnet18.py',
    '../_base_/datasets/rafdb.py',
    '../_base_/augmentations/flip_or_noise.py',
    '../_base_/schedules/adam_exp_70e.py',
    '../_base_/default_runtime.py',
]
model = dict(pretrained='pretrained/resnet18_msceleb.pth')  # ours; the code's ImageNet: 'torchvision://resnet18'
data_preprocessor = dict(
    **_base_.flip_or_noise,
    augment_normalized=[dict(type='RandomErasing', scale=(0.02, 0.1), p=0.5)],
)
# On AffectNet the paper resamples, so many faces of every class an epoch and of large classes others each time:
# sampler=dict(_delete_=True, type='mmfer.ClassBalancedSampler', per_class=3750); without per_class the mean class size.
train_dataloader = dict(batch_size=256, sampler=dict(type='DefaultSampler', shuffle=True))
sync_bn = 'torch'  # several GPUs train as one would
