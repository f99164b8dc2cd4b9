# LA-Net ResNet-18 on RAF-DB compound; the setting is that of r18_rafdb.py.
_base_ = ['./r18_rafdb.py', '../_base_/datasets/rafdb_compound.py']
model = dict(head=dict(num_classes=11))
train_dataloader = dict(dataset=dict(_delete_=True, **_base_.rafdb_compound.train, landmarks='compound68.npz'))
val_dataloader = dict(dataset=dict(_delete_=True, **_base_.rafdb_compound.test))
test_dataloader = val_dataloader
