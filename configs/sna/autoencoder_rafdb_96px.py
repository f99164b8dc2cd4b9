# CPU-sized: a small autoencoder of 48 px faces for classifiers of 96 px, and fewer epochs at a larger learning rate.
# Next: r18_rafdb_96px_12e.py.
_base_ = './autoencoder_rafdb.py'
model = dict(size=48, channels=24)
data_preprocessor = dict(size=48)
train_dataloader = dict(batch_size=32)
optim_wrapper = dict(optimizer=dict(lr=1e-3))
train_cfg = dict(max_epochs=20)
custom_hooks = [dict(type='mmfer.AutoEncoderSheetHook', classifier='configs/sna/r18_rafdb_96px_12e.py')]
