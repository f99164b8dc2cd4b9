# CAER-S: frames that show more than the face. For faces align them first (docs/landmarks.md), and name the folder:
# data_root='data/caer-s-aligned'.
# The leaf places it: dataset=dict(_delete_=True, **_base_.caers.train) in the loaders of rafdb.py; likewise 'test'.
_caers = dict(
    type='mmfer.CAERS',
    data_root='data/caer-s',
    pipeline=[dict(type='mmfer.LoadFace', size=224), dict(type='mmfer.PackFace')],
)
caers = dict(train=dict(**_caers, split='train'), test=dict(**_caers, split='test', test_mode=True))
