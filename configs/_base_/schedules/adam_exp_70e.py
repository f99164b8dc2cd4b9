# Adam, x .9 after every epoch: the public code of SCN and ARM.
optim_wrapper = dict(optimizer=dict(type='Adam', lr=1e-3, weight_decay=1e-4))
param_scheduler = dict(type='ExponentialLR', gamma=0.9, by_epoch=True)
train_cfg = dict(by_epoch=True, max_epochs=70, val_interval=1)
val_cfg = dict()
test_cfg = dict()
