# SCN for runs of 12 epochs: the published start in epoch 10, of 40 (paper) or 70 (code), would come too late to learn
# from the new labels. A network from scratch is then often wrong still, so only the less important group is relabelled.
_base_ = './scn.py'
scn = dict(refiners=dict(relabel=dict(start_epoch=6, scope='low')))
