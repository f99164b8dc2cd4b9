# RAF-DB compound: aligned faces of 100 px, 11 classes.
# The leaf places it: dataset=dict(_delete_=True, **_base_.rafdb_compound.train) in the loaders of rafdb.py.
_rafdb_compound = dict(
    type='mmfer.RAFDBCompound',
    data_root='data/raf-db',
    pipeline=[dict(type='mmfer.LoadFace', size=100), dict(type='mmfer.PackFace')],
)
rafdb_compound = dict(
    train=dict(**_rafdb_compound, split='train'),
    test=dict(**_rafdb_compound, split='test', test_mode=True),
)
