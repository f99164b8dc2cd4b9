# Ablation: the mean over the arranged channels alone, nothing that faces share.
_base_ = './r18_synthfaces.py'
model = dict(neck=dict(affinity=False))
