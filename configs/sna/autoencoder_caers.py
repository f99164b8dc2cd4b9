# Stage A of SNA on CAER-S; the setting is that of autoencoder_rafdb.py. Next: r18_caers.py.
_base_ = ['./autoencoder_rafdb.py', '../_base_/datasets/caers.py']
train_dataloader = dict(dataset=dict(_delete_=True, **_base_.caers.train))
val_dataloader = dict(dataset=dict(_delete_=True, **_base_.caers.test))
