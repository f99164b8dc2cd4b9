# SNA on RAF-DB, CPU-sized: 96 px, 12 epochs, from scratch.
# Like with like: data, augmentation, sampler and schedule are the baseline's (12 epochs, 96 px); only the method is
# SNA. First: autoencoder_rafdb_96px.py.
_base_ = ['../baseline/r18_rafdb_96px_12e.py', '../_base_/supervision/sna_rafdb_96px.py']
model = dict(supervision=dict(sna=_base_.sna))
