# Plain ResNet-18 on AffectNet with eight classes; the setting is that of r18_rafdb.py.
_base_ = ['./r18_rafdb.py', '../_base_/datasets/affectnet.py']
model = dict(head=dict(num_classes=8))
train_dataloader = dict(dataset=dict(_delete_=True, **_base_.affectnet8.train))
val_dataloader = dict(dataset=dict(_delete_=True, **_base_.affectnet8.test))
test_dataloader = val_dataloader
