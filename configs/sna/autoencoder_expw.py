# Stage A of SNA on ExpW; the setting is that of autoencoder_rafdb.py. Next: r18_expw.py.
_base_ = ['./autoencoder_rafdb.py', '../_base_/datasets/expw.py']
train_dataloader = dict(dataset=dict(_delete_=True, **_base_.expw.train))
val_dataloader = dict(dataset=dict(_delete_=True, **_base_.expw.test))
