# LA-Net ResNet-18 on FER2013; the setting is that of r18_rafdb.py.
_base_ = ['./r18_rafdb.py', '../_base_/datasets/fer2013.py']
train_dataloader = dict(dataset=dict(_delete_=True, **_base_.fer2013.train, landmarks='landmarks68.npz'))
val_dataloader = dict(dataset=dict(_delete_=True, **_base_.fer2013.test))
test_dataloader = val_dataloader
