# ExpW: faces of many sizes. It has no official split: a tenth of every class is held out, drawn with this seed.
# The leaf places it: dataset=dict(_delete_=True, **_base_.expw.train) in the loaders of rafdb.py; likewise 'test'.
_expw = dict(
    type='mmfer.ExpW',
    data_root='data/expw',
    pipeline=[dict(type='mmfer.LoadFace', size=112), dict(type='mmfer.PackFace')],
    holdout=dict(fraction=0.1, seed=0),
)
expw = dict(train=dict(**_expw, split='train'), test=dict(**_expw, split='val', test_mode=True))
