# The built-in synthetic faces: drawn once, kept in data/synthetic_faces. Augmented as RAF-DB is.
data_preprocessor = dict(
    type='mmfer.FaceDataPreprocessor',
    size=64,
    mean=(0.5, 0.5, 0.5),
    std=(0.25, 0.25, 0.25),
    augment=[
        dict(type='RandomHorizontalFlip', p=0.5),
        dict(type='ColorJitter', brightness=0.4, contrast=0.4, saturation=0.4, hue=0.0, p=1.0),
        dict(type='RandomResizedCrop', scale=(0.75, 1.0), p=1.0),
    ],
    augment_normalized=[dict(type='RandomErasing', scale=(0.02, 0.2), p=0.2)],
)

_dataset = dict(
    type='mmfer.SyntheticFaces', size=64, pipeline=[dict(type='mmfer.LoadFace'), dict(type='mmfer.PackFace')]
)
# The faces are in memory already: workers would only take the training's cores.
_loader = dict(batch_size=64, num_workers=0, collate_fn=dict(type='mmfer.collate_faces'))

train_dataloader = dict(
    **_loader,
    # The rest of an epoch would be a small batch, and the last that batch norm sees before it is judged.
    drop_last=True,
    dataset=dict(**_dataset, split='train', num=2000),
    sampler=dict(type='mmfer.ProgressiveSampler'),
)
val_dataloader = dict(
    **_loader,
    dataset=dict(**_dataset, split='test', num=1000, test_mode=True),
    sampler=dict(type='DefaultSampler', shuffle=False),
)
test_dataloader = val_dataloader
val_evaluator = dict(type='mmfer.FERMetric')
test_evaluator = val_evaluator
