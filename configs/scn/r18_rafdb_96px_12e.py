# SCN on RAF-DB, CPU-sized: 96 px, 12 epochs, from scratch.
# Like with like: data, augmentation, sampler, schedule are the baseline's (12 epochs, 96 px); the method alone is SCN.
_base_ = ['../baseline/r18_rafdb_96px_12e.py', '../_base_/supervision/scn_12e.py']
model = dict(head=dict(type='mmfer.SCNHead'), supervision=dict(scn=_base_.scn))
