# Ablation: weighting without relabelling, whose first epoch lies behind the last; the importances are still remembered.
_base_ = './r18_synthfaces_sym30_40e.py'
model = dict(supervision=dict(scn=dict(refiners=dict(relabel=dict(start_epoch=1000)))))
