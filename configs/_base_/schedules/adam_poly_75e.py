# Adam, polynomial (power 0.9, ours) to 0 per iteration; the end follows max_epochs.
optim_wrapper = dict(optimizer=dict(type='Adam', lr=4e-5, weight_decay=0.0))
param_scheduler = dict(type='PolyLR', power=0.9, eta_min=0.0, by_epoch=True, convert_to_iter_based=True)
train_cfg = dict(by_epoch=True, max_epochs=75, val_interval=1)
val_cfg = dict()
test_cfg = dict()
