# SNA on synthetic faces with 30 % symmetric label noise, 40 epochs.
# Like with like: all but the method is the baseline's. First: autoencoder_synthfaces.py.
_base_ = ['../baseline/r18_synthfaces_sym30_40e.py', '../_base_/supervision/sna_synthfaces.py']
model = dict(supervision=dict(sna=_base_.sna))
