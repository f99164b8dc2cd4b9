# SCN ResNet-18 on ExpW; the setting is that of r18_rafdb.py.
_base_ = ['./r18_rafdb.py', '../_base_/datasets/expw.py']
train_dataloader = dict(dataset=dict(_delete_=True, **_base_.expw.train))
val_dataloader = dict(dataset=dict(_delete_=True, **_base_.expw.test))
test_dataloader = val_dataloader
