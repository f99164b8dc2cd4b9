# LA-Net ResNet-18 on FER+; the setting is that of r18_rafdb.py.
_base_ = ['./r18_rafdb.py', '../_base_/datasets/ferplus.py']
model = dict(head=dict(num_classes=8))
train_dataloader = dict(dataset=dict(_delete_=True, **_base_.ferplus.train, landmarks='landmarks68.npz'))
val_dataloader = dict(dataset=dict(_delete_=True, **_base_.ferplus.test))
test_dataloader = val_dataloader
