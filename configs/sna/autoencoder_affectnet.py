# Stage A of SNA on AffectNet; the setting is that of autoencoder_rafdb.py. Next: r18_affectnet8.py.
_base_ = ['./autoencoder_rafdb.py', '../_base_/datasets/affectnet.py']
train_dataloader = dict(dataset=dict(_delete_=True, **_base_.affectnet8.train))
val_dataloader = dict(dataset=dict(_delete_=True, **_base_.affectnet8.test))
