# SCN (arXiv 2002.10392). Placed by the leaf, with the head that it taps:
# model = dict(head=dict(type='mmfer.SCNHead'), supervision=dict(scn=_base_.scn)), or models/scn_resnet18.py as base.
scn = dict(
    taps=dict(importance='head.attention'),
    refiners=dict(
        # As the authors' code, which the published figures come from. The paper relabels in the less important group
        # only, scope='low': docs/methods/scn.md compares them.
        relabel=dict(type='mmfer.MarginRelabel', margin=0.2, start_epoch=10, scope='all', ratio=0.7),
    ),
    losses=dict(
        # delta 1: the paper's .15 is for batches of 1024; the authors advise .07 for 64.
        rank=dict(type='mmfer.RankRegularizationLoss', margin=0.07, ratio=0.7, loss_weight=1.0),
    ),
)
