# PAL on synthetic faces with 30 % symmetric label noise, 40 epochs.
# Like with like: all but the method is the baseline's.
_base_ = ['../baseline/r18_synthfaces_sym30_40e.py', '../_base_/supervision/pal.py']
model = dict(supervision=dict(pal=_base_.pal))
