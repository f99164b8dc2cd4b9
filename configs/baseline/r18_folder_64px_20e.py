# ResNet-18 of half width on a folder of class folders, CPU-sized: 64 px, batch 32, 20 epochs, from scratch.
# A tenth is held out. `mmfer audit FOLDER` trains it on any folder.
_base_ = './r18_rafdb.py'
model = dict(
    pretrained=None,
    backbone=dict(base_channels=32, stem_channels=32),
    head=dict(in_channels=256),
)
data_preprocessor = dict(size=64)
_dataset = dict(
    _delete_=True,
    type='mmfer.FolderFaces',
    data_root='data/folder',
    holdout=dict(fraction=0.1, seed=0),
    pipeline=[dict(type='mmfer.LoadFace', size=64), dict(type='mmfer.PackFace')],
)
train_dataloader = dict(
    batch_size=32,
    dataset=dict(**_dataset, split='train'),
    sampler=dict(type='DefaultSampler', shuffle=True),  # every face once an epoch, with the classes' own shares
)
val_dataloader = dict(dataset=dict(**_dataset, split='val', test_mode=True))
test_dataloader = val_dataloader
optim_wrapper = dict(optimizer=dict(weight_decay=1e-4))
train_cfg = dict(max_epochs=20)
