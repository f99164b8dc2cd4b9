# Ablation: nothing holds the importances apart. A weight of 0 instead of None, so that their means are still shown.
_base_ = './r18_synthfaces_sym30.py'
model = dict(supervision=dict(scn=dict(losses=dict(rank=dict(loss_weight=0.0)))))
