# PAL ResNet-18 on RAF-DB in the setting of the other methods here (ours: the paper has VGG16 and ResNet-50; see
# vgg16_rafdb.py for its schedule): 80 epochs, 224 px, batch 128 in all, the baseline's data, augmentation and sampler.
# On N GPUs set train_dataloader.batch_size to 128 / N.
_base_ = [
    '../_base_/models/resnet18.py',
    '../_base_/datasets/rafdb.py',
    '../_base_/schedules/adam_80e.py',
    '../_base_/supervision/pal.py',
    '../_base_/default_runtime.py',
]
model = dict(pretrained='pretrained/resnet18_msceleb.pth', supervision=dict(pal=_base_.pal))
train_dataloader = dict(dataset=dict(landmarks='landmarks68.npz'))
sync_bn = 'torch'  # several GPUs train as one would; possible because no batch norm follows the tap
