# Stage A of SNA on FER2013; the setting is that of autoencoder_rafdb.py. Next: r18_fer2013.py.
_base_ = ['./autoencoder_rafdb.py', '../_base_/datasets/fer2013.py']
train_dataloader = dict(dataset=dict(_delete_=True, **_base_.fer2013.train))
val_dataloader = dict(dataset=dict(_delete_=True, **_base_.fer2013.test))
