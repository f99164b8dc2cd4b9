# RAF-DB basic: aligned faces of 100 px. Augmentation is LA-Net's published one, on the device.
data_preprocessor = dict(
    type='mmfer.FaceDataPreprocessor',
    size=224,
    mean=(0.5412, 0.4324, 0.3795),
    std=(0.2485, 0.2182, 0.2066),
    augment=[
        dict(type='RandomHorizontalFlip', p=0.5),
        dict(type='ColorJitter', brightness=0.4, contrast=0.4, saturation=0.4, hue=0.0, p=1.0),
        dict(type='RandomResizedCrop', scale=(0.75, 1.0), p=1.0),
    ],
    augment_normalized=[dict(type='RandomErasing', scale=(0.02, 0.2), p=0.2)],
)

_pipeline = [dict(type='mmfer.LoadFace', size=100), dict(type='mmfer.PackFace')]
# Configs of methods that use landmarks name the file: landmarks='landmarks68.npz', in data_root.
_dataset = dict(type='mmfer.RAFDB', data_root='data/raf-db', pipeline=_pipeline)
# Other datasets stand in the other files of this folder in this way, and the leaf places them in these loaders.
rafdb = dict(train=dict(**_dataset, split='train'), test=dict(**_dataset, split='test', test_mode=True))
_loader = dict(num_workers=2, persistent_workers=True, collate_fn=dict(type='mmfer.collate_faces'))

train_dataloader = dict(
    **_loader,
    batch_size=128,
    # The rest of an epoch would be a small batch, and the last that batch norm sees before it is judged.
    drop_last=True,
    dataset=rafdb['train'],
    sampler=dict(type='mmfer.ProgressiveSampler'),  # from the classes' own shares to equal ones
)
val_dataloader = dict(
    **_loader,
    batch_size=128,
    dataset=rafdb['test'],
    sampler=dict(type='DefaultSampler', shuffle=False),
)
test_dataloader = val_dataloader
val_evaluator = dict(type='mmfer.FERMetric')
test_evaluator = val_evaluator
