# SNA ResNet-18 on SFEW 2.0; the setting is that of r18_rafdb.py. First: autoencoder_sfew.py.
_base_ = ['./r18_rafdb.py', '../_base_/datasets/sfew.py']
model = dict(supervision=dict(sna=dict(branches=dict(neighbours=dict(checkpoint='work_dirs/sna/autoencoder_sfew')))))
train_dataloader = dict(dataset=dict(_delete_=True, **_base_.sfew.train))
val_dataloader = dict(dataset=dict(_delete_=True, **_base_.sfew.test))
test_dataloader = val_dataloader
