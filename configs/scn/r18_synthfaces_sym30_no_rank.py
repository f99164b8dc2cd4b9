# Ablation: nothing holds the importances apart; look at importance_auc.
_base_ = './r18_synthfaces_sym30.py'
model = dict(supervision=dict(scn=dict(losses=dict(rank=None))))
