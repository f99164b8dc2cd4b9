# FER2013: grey faces of 48 px. Reported on PrivateTest, 'test'; PublicTest is split='val'.
# The leaf places it: dataset=dict(_delete_=True, **_base_.fer2013.train) in the loaders of rafdb.py; likewise 'test'.
_fer2013 = dict(
    type='mmfer.FER2013',
    data_root='data/fer2013',
    pipeline=[dict(type='mmfer.LoadFace', size=48), dict(type='mmfer.PackFace')],
)
fer2013 = dict(train=dict(**_fer2013, split='train'), test=dict(**_fer2013, split='test', test_mode=True))
