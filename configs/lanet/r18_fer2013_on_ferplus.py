# LA-Net ResNet-18 on human noise: FER2013's labels, tested on FER+'s; the setting is that of r18_rafdb.py.
_base_ = ['./r18_rafdb.py', '../_base_/datasets/fer2013_on_ferplus.py']
train_dataloader = dict(dataset=dict(_delete_=True, **_base_.fer2013_on_ferplus.train, landmarks='landmarks68.npz'))
val_dataloader = dict(dataset=dict(_delete_=True, **_base_.fer2013_on_ferplus.test))
test_dataloader = val_dataloader
