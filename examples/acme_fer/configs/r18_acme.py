"""ResNet-18 with the four parts of this package, on faces in folders."""

_base_ = [
    'mmfer::_base_/models/resnet18.py',
    'mmfer::_base_/datasets/synthfaces.py',
    'mmfer::_base_/schedules/adam_80e.py',
    'mmfer::_base_/default_runtime.py',
]
model = dict(
    neck=dict(_delete_=True, type='acme_fer.BandPooling', in_channels=512, bands=2),
    head=dict(in_channels=1024),
    supervision=dict(
        acme=dict(
            refiners=dict(running=dict(type='acme_fer.RunningPrediction', momentum=0.9, share=0.5, start_epoch=2)),
            # From 0 to 1 over the first two epochs, when predictions begin to say something.
            losses=dict(reverse=dict(type='acme_fer.ReverseCrossEntropyLoss', loss_weight=[(0, 0.0), (2, 1.0)])),
        )
    ),
)

_dataset = dict(
    _delete_=True,
    type='acme_fer.FaceFolders',
    data_root='data/acme_faces',
    pipeline=[dict(type='mmfer.LoadFace', size=64), dict(type='mmfer.PackFace')],
)
train_dataloader = dict(num_workers=2, persistent_workers=True, dataset=dict(**_dataset, split='train'))
val_dataloader = dict(dataset=dict(**_dataset, split='test', test_mode=True))
test_dataloader = val_dataloader
train_cfg = dict(max_epochs=8)
default_hooks = dict(logger=dict(interval=10))
