# SNA ResNet-18 on AffectNet with seven classes; the setting is that of r18_rafdb.py. First: autoencoder_affectnet.py.
_base_ = ['./r18_rafdb.py', '../_base_/datasets/affectnet.py']
model = dict(
    supervision=dict(sna=dict(branches=dict(neighbours=dict(checkpoint='work_dirs/sna/autoencoder_affectnet')))),
)
train_dataloader = dict(dataset=dict(_delete_=True, **_base_.affectnet7.train))
val_dataloader = dict(dataset=dict(_delete_=True, **_base_.affectnet7.test))
test_dataloader = val_dataloader
