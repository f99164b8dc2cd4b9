model = dict(
    type='mmfer.FERClassifier',
    pretrained=None,
    backbone=dict(
        type='ResNet',
        depth=18,
        num_stages=4,
        out_indices=(3,),
        style='pytorch',
        zero_init_residual=False,  # as torchvision's, which the papers start from
    ),
    neck=dict(type='GlobalAveragePooling'),
    head=dict(type='LinearClsHead', num_classes=7, in_channels=512),
    # The classification term stands once; methods change its target and weight.
    supervision=dict(cls=dict(losses=dict(ce=dict(type='mmfer.CrossEntropyLoss')))),
)
