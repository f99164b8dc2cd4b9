# Ablation: smoothness under adversarial changes, no selection of unreliable faces.
_base_ = './r18_synthfaces_sym30.py'
model = dict(supervision=dict(sna=dict(refiners=dict(reliability=None))))
