# FER+: the faces of FER2013, labelled anew by ten people. Reported on 'test'; the others are split='val'. Other
# readings of the votes: reading='distribution', 'cross_entropy' or 'probability', see docs/datasets.md.
# The leaf places it: dataset=dict(_delete_=True, **_base_.ferplus.train) in the loaders of rafdb.py; likewise 'test'.
_ferplus = dict(
    type='mmfer.FERPlus',
    data_root='data/ferplus',
    pipeline=[dict(type='mmfer.LoadFace', size=48), dict(type='mmfer.PackFace')],
)
ferplus = dict(train=dict(**_ferplus, split='train'), test=dict(**_ferplus, split='test', test_mode=True))
