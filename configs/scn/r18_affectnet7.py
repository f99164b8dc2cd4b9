# SCN ResNet-18 on AffectNet with seven classes; the setting is that of r18_rafdb.py.
_base_ = ['./r18_rafdb.py', '../_base_/datasets/affectnet.py']
train_dataloader = dict(dataset=dict(_delete_=True, **_base_.affectnet7.train))
val_dataloader = dict(dataset=dict(_delete_=True, **_base_.affectnet7.test))
test_dataloader = val_dataloader
