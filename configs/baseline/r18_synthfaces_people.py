# Learns to recognise 500 synthetic people, none of whom the other configs draw: what the runs of 40 epochs start from,
# as published methods start from face recognition. Half the channels of a ResNet-18. Next:
# r18_synthfaces_sym30_40e.py.
_base_ = './r18_synthfaces.py'
model = dict(backbone=dict(stem_channels=32, base_channels=32), head=dict(in_channels=256, num_classes=500))
train_dataloader = dict(
    dataset=dict(seed=1, num=4000, label='person'),
    sampler=dict(_delete_=True, type='DefaultSampler', shuffle=True),
)
# Nobody is in two splits, so there is no one to recognise in the test faces.
val_dataloader = None
val_evaluator = None
val_cfg = None
test_dataloader = None
test_evaluator = None
test_cfg = None
train_cfg = dict(max_epochs=30, val_interval=30)
default_hooks = dict(protocol=None)
