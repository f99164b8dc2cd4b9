# ARM ResNet-18 on SFEW 2.0; the setting is that of r18_rafdb.py.
_base_ = ['./r18_rafdb.py', '../_base_/datasets/sfew.py']
train_dataloader = dict(dataset=dict(_delete_=True, **_base_.sfew.train))
val_dataloader = dict(dataset=dict(_delete_=True, **_base_.sfew.test))
test_dataloader = val_dataloader
