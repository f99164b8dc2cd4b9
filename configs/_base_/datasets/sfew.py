# SFEW 2.0: aligned faces of 143 x 181 px. Reported on 'val'; the labels of the test frames are not public.
# The leaf places it: dataset=dict(_delete_=True, **_base_.sfew.train) in the loaders of rafdb.py; likewise 'test'.
_sfew = dict(
    type='mmfer.SFEW',
    data_root='data/sfew',
    pipeline=[dict(type='mmfer.LoadFace', size=(181, 143)), dict(type='mmfer.PackFace')],
)
sfew = dict(train=dict(**_sfew, split='train'), test=dict(**_sfew, split='val', test_mode=True))
