# Plain ResNet-18 on the built-in synthetic faces: some minutes on 2 CPU cores.
_base_ = [
    '../_base_/models/resnet18.py',
    '../_base_/datasets/synthfaces.py',
    '../_base_/schedules/adam_80e.py',
    '../_base_/default_runtime.py',
]
train_cfg = dict(max_epochs=12)
default_hooks = dict(logger=dict(interval=10))
sync_bn = 'torch'  # several GPUs train as one would
