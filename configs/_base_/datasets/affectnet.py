# AffectNet: faces of 224 px, with seven classes or eight. Reported on 'val'; the test set is not public.
# The leaf places it: dataset=dict(_delete_=True, **_base_.affectnet8.train) in the loaders of rafdb.py.
_eight = dict(
    type='mmfer.AffectNet',
    data_root='data/affectnet',
    pipeline=[dict(type='mmfer.LoadFace', size=224), dict(type='mmfer.PackFace')],
)
_seven = dict(**_eight, metainfo=dict(classes='affectnet7'), drop_classes=['contempt'])
affectnet8 = dict(train=dict(**_eight, split='train'), test=dict(**_eight, split='val', test_mode=True))
affectnet7 = dict(train=dict(**_seven, split='train'), test=dict(**_seven, split='val', test_mode=True))
