# ARM on the built-in synthetic faces; like with like: all but the neck is the baseline's.
_base_ = '../baseline/r18_synthfaces.py'
model = dict(neck=dict(type='mmfer.ARM', in_channels=512, map_size=2), head=dict(in_channels=81))
