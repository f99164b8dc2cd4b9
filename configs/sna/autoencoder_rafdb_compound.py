# Stage A of SNA on RAF-DB compound; the setting is that of autoencoder_rafdb.py. Next: r18_rafdb_compound.py.
_base_ = ['./autoencoder_rafdb.py', '../_base_/datasets/rafdb_compound.py']
train_dataloader = dict(dataset=dict(_delete_=True, **_base_.rafdb_compound.train))
val_dataloader = dict(dataset=dict(_delete_=True, **_base_.rafdb_compound.test))
