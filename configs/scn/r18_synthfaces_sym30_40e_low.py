# Ablation: relabels in the less important group only, as the paper has it.
_base_ = './r18_synthfaces_sym30_40e.py'
model = dict(supervision=dict(scn=dict(refiners=dict(relabel=dict(scope='low')))))
