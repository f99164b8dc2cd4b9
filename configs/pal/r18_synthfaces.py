# PAL ResNet-18 on the built-in synthetic faces, as the baseline's twin: some minutes on 2 CPU cores.
# The tapped map has 2 x 2 cells; r18_synthfaces_layer3.py has 4 x 4.
_base_ = [
    '../_base_/models/resnet18.py',
    '../_base_/datasets/synthfaces.py',
    '../_base_/schedules/adam_80e.py',
    '../_base_/supervision/pal.py',
    '../_base_/default_runtime.py',
]
model = dict(supervision=dict(pal=_base_.pal))
train_cfg = dict(max_epochs=12)
default_hooks = dict(logger=dict(interval=10))
sync_bn = 'torch'  # several GPUs train as one would; possible because no batch norm follows the tap
