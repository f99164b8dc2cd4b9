# ARM on synthetic faces with 30 % symmetric label noise, 40 epochs.
# Like with like: all but the method is the baseline's.
_base_ = '../baseline/r18_synthfaces_sym30_40e.py'
model = dict(neck=dict(type='mmfer.ARM', in_channels=256, map_size=2), head=dict(in_channels=81))
