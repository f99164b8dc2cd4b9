# ARM on RAF-DB, CPU-sized: 96 px, 12 epochs, from scratch.
# Like with like: data, augmentation, sampler and schedule are the baseline's (12 epochs, 96 px); only the neck is ARM.
_base_ = '../baseline/r18_rafdb_96px_12e.py'
model = dict(neck=dict(type='mmfer.ARM', in_channels=512, map_size=3), head=dict(in_channels=81))
