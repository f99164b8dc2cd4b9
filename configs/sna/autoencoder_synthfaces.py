# Stage A of SNA on the built-in synthetic faces: some minutes on 2 CPU cores. Next: r18_synthfaces.py.
_base_ = ['../_base_/datasets/synthfaces.py', '../_base_/supervision/sna_synthfaces.py', '../_base_/default_runtime.py']
model = _base_.sna.branches.neighbours.autoencoder
data_preprocessor = dict(
    size=48,
    mean=(0.5, 0.5, 0.5),  # the autoencoder works on pixels in [-1, 1]
    std=(0.5, 0.5, 0.5),
    # The classifier's crops, as it will meet them there; no erasing, which it need not draw.
    augment=[dict(type='RandomHorizontalFlip', p=0.5), dict(type='RandomResizedCrop', scale=(0.75, 1.0), p=1.0)],
    augment_normalized=[],
)
train_dataloader = dict(batch_size=32, sampler=dict(_delete_=True, type='DefaultSampler', shuffle=True))
val_evaluator = dict(type='mmfer.ReconstructionMetric')
test_dataloader = None
test_evaluator = None
optim_wrapper = dict(optimizer=dict(type='Adam', lr=1e-3, betas=(0.5, 0.999)))
param_scheduler = dict(type='LinearLR', start_factor=1.0, end_factor=0.0, by_epoch=True, convert_to_iter_based=True)
train_cfg = dict(by_epoch=True, max_epochs=30, val_interval=1)
val_cfg = dict()
default_hooks = dict(protocol=None)  # it predicts no class
custom_hooks = [dict(type='mmfer.AutoEncoderSheetHook', classifier='configs/sna/r18_synthfaces.py')]
