# SNA ResNet-18 on FER2013; the setting is that of r18_rafdb.py. First: autoencoder_fer2013.py.
_base_ = ['./r18_rafdb.py', '../_base_/datasets/fer2013.py']
model = dict(
    supervision=dict(sna=dict(branches=dict(neighbours=dict(checkpoint='work_dirs/sna/autoencoder_fer2013')))),
)
train_dataloader = dict(dataset=dict(_delete_=True, **_base_.fer2013.train))
val_dataloader = dict(dataset=dict(_delete_=True, **_base_.fer2013.test))
test_dataloader = val_dataloader
