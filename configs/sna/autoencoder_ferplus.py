# Stage A of SNA on FER+; the setting is that of autoencoder_rafdb.py. Next: r18_ferplus.py.
_base_ = ['./autoencoder_rafdb.py', '../_base_/datasets/ferplus.py']
train_dataloader = dict(dataset=dict(_delete_=True, **_base_.ferplus.train))
val_dataloader = dict(dataset=dict(_delete_=True, **_base_.ferplus.test))
