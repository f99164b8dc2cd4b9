# Ablation: smoothness under random changes, nothing else; the other rungs are baseline/r18_synthfaces_sym30.py
# (cross-entropy alone), r18_synthfaces_sym30_adversarial.py, and r18_synthfaces_sym30.py (with selection: all of SNA).
_base_ = './r18_synthfaces_sym30.py'
model = dict(supervision=dict(sna=dict(branches=dict(neighbours=dict(kind='random')), refiners=dict(reliability=None))))
