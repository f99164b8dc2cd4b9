# LA-Net ResNet-18 on CAER-S; the setting is that of r18_rafdb.py.
_base_ = ['./r18_rafdb.py', '../_base_/datasets/caers.py']
train_dataloader = dict(dataset=dict(_delete_=True, **_base_.caers.train, landmarks='landmarks68.npz'))
val_dataloader = dict(dataset=dict(_delete_=True, **_base_.caers.test))
test_dataloader = val_dataloader
