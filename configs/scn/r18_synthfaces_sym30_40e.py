# SCN on synthetic faces with 30 % symmetric label noise, 40 epochs.
# Like with like: all but the method is the baseline's; relabelling starts in epoch 10 of 40, as in the paper.
_base_ = ['../baseline/r18_synthfaces_sym30_40e.py', '../_base_/supervision/scn.py']
model = dict(head=dict(type='mmfer.SCNHead'), supervision=dict(scn=_base_.scn))
