# SCN on the built-in synthetic faces; like with like: all but the method is the baseline's.
_base_ = ['../baseline/r18_synthfaces.py', '../_base_/supervision/scn_12e.py']
model = dict(head=dict(type='mmfer.SCNHead'), supervision=dict(scn=_base_.scn))
