# Ablation: the windows move over the 512 maps of 2 x 2 as they are, so that only four numbers reach the head.
_base_ = './r18_synthfaces.py'
model = dict(neck=dict(arrange=False), head=dict(in_channels=4))
