# Stage A of SNA on SFEW 2.0; the setting is that of autoencoder_rafdb.py. Next: r18_sfew.py.
_base_ = ['./autoencoder_rafdb.py', '../_base_/datasets/sfew.py']
train_dataloader = dict(dataset=dict(_delete_=True, **_base_.sfew.train))
val_dataloader = dict(dataset=dict(_delete_=True, **_base_.sfew.test))
