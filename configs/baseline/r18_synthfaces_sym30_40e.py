# Plain ResNet-18 on synthetic faces with 30 % symmetric label noise, 40 epochs.
# Long enough to learn wrong labels by heart: where methods against them are compared (benchmarks/grids/synthfaces.py).
# Half the channels of a ResNet-18. First: r18_synthfaces_people.py, which knows faces and not their expressions.
_base_ = './r18_synthfaces_sym30.py'
model = dict(
    pretrained='work_dirs/baseline/r18_synthfaces_people/epoch_30.pth',
    backbone=dict(stem_channels=32, base_channels=32),
    head=dict(in_channels=256),
)
train_cfg = dict(max_epochs=40)
