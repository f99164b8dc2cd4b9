# A ResNet-18 that knows faces, the start (model.pretrained) of any config with a ResNet-18 here: it learns the
# descriptors by which dlib's face recognition tells people apart, on FER+'s training faces without their labels
# (docs/backbones.md). CPU-sized: 64 px. Any other faces will do, see FolderFaces in docs/datasets.md.
_base_ = [
    '../_base_/models/resnet18.py',
    '../_base_/datasets/rafdb.py',
    '../_base_/datasets/ferplus.py',
    '../_base_/default_runtime.py',
]
model = dict(_delete_=True, type='mmfer.DistilledEmbedding', backbone=_base_.model.backbone)
data_preprocessor = dict(
    size=64,
    augment=[dict(type='RandomHorizontalFlip', p=0.5), dict(type='RandomResizedCrop', scale=(0.75, 1.0), p=1.0)],
    augment_normalized=[],
)
train_dataloader = dict(
    dataset=dict(_delete_=True, **{**_base_.ferplus.train, 'reading': 'distribution'}),  # leaves few faces out
    sampler=dict(_delete_=True, type='DefaultSampler', shuffle=True),
)
val_dataloader = dict(dataset=dict(_delete_=True, **{**_base_.ferplus.test, 'split': 'val'}))
val_evaluator = dict(type='mmfer.EmbeddingMetric')
test_dataloader = None
test_evaluator = None
optim_wrapper = dict(optimizer=dict(type='AdamW', lr=2e-3, weight_decay=0.05))
param_scheduler = dict(type='LinearLR', start_factor=1.0, end_factor=0.0, by_epoch=True, convert_to_iter_based=True)
train_cfg = dict(by_epoch=True, max_epochs=20, val_interval=1)
val_cfg = dict()
default_hooks = dict(protocol=None)  # it predicts no class
