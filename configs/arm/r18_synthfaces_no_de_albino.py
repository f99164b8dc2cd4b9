# Ablation: average pooling to the same size, which covers every cell alike, in place of the convolution.
_base_ = './r18_synthfaces.py'
model = dict(neck=dict(de_albino=False))
