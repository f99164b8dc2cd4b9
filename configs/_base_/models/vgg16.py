# VGG16 without batch norm, its fully connected layers replaced by average pooling and one linear layer (ours). The last
# max pooling is left out: behind it only one cell in four of conv5_3 would reach the logits.
# conv5_3, the layer that PAL taps, is backbone.features.16.
model = dict(
    type='mmfer.FERClassifier',
    pretrained=None,
    backbone=dict(type='VGG', depth=16, out_indices=(4,), with_last_pool=False),
    neck=dict(type='GlobalAveragePooling'),
    head=dict(type='LinearClsHead', num_classes=7, in_channels=512),
    # The classification term stands once; methods change its target and weight.
    supervision=dict(cls=dict(losses=dict(ce=dict(type='mmfer.CrossEntropyLoss')))),
)
