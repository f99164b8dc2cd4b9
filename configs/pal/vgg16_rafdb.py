# PAL VGG16 on RAF-DB, the setting that secondary sources give for the paper (no code is public): Adam 4e-5, polynomial
# decay, batch 16, 75 epochs, 224 px, flips and rotations up to 10 degrees. Ours: starting from ImageNet, the head, the
# classes' own shares. On N GPUs set train_dataloader.batch_size to 16 / N.
_base_ = [
    '../_base_/models/vgg16.py',
    '../_base_/datasets/rafdb.py',
    '../_base_/schedules/adam_poly_75e.py',
    '../_base_/supervision/pal.py',
    '../_base_/default_runtime.py',
]
model = dict(
    pretrained='torchvision://vgg16',
    supervision=dict(pal={**_base_.pal, 'taps': dict(stage4='backbone.features.16')}),  # conv5_3
)
data_preprocessor = dict(
    mean=(0.485, 0.456, 0.406),  # ImageNet's, which the network starts from
    std=(0.229, 0.224, 0.225),
    augment=[
        dict(type='RandomHorizontalFlip', p=0.5),
        dict(type='RandomRotation', degrees=10.0, p=1.0),
    ],
    augment_normalized=[],
)
train_dataloader = dict(
    batch_size=16,
    dataset=dict(landmarks='landmarks68.npz'),
    sampler=dict(_delete_=True, type='DefaultSampler', shuffle=True),
)
