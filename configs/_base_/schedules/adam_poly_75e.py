# Adam, polynomial of power 1 to 0 per iteration, as a public script of 75 epochs has it; the end follows max_epochs.
optim_wrapper = dict(optimizer=dict(type='Adam', lr=4e-5, weight_decay=0.0))
param_scheduler = dict(type='PolyLR', power=1.0, eta_min=0.0, by_epoch=True, convert_to_iter_based=True)
train_cfg = dict(by_epoch=True, max_epochs=75, val_interval=1)
val_cfg = dict()
test_cfg = dict()
