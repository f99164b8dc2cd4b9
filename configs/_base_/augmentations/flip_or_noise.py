# One of a flip and noise, for half of the faces, on ImageNet's mean and deviation: as the authors' code of SCN and ARM.
# Placed by the leaf, with the erasing of its method: data_preprocessor = dict(**_base_.flip_or_noise, ...).
flip_or_noise = dict(
    mean=(0.485, 0.456, 0.406),
    std=(0.229, 0.224, 0.225),
    augment=[
        dict(
            type='OneOf',
            p=0.5,
            transforms=[
                dict(type='RandomHorizontalFlip'),
                dict(type='RandomGaussianNoise', mean=0.0, std=30**0.5 / 255),
            ],
        ),
    ],
)
