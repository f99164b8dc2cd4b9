# Ablation, and the cheaper SNA: random changes instead of adversarial ones, with selection.
_base_ = './r18_synthfaces_sym30.py'
model = dict(supervision=dict(sna=dict(branches=dict(neighbours=dict(kind='random')))))
