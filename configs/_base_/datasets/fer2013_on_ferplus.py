# Real human noise: trained on FER2013's own labels, tested on what the majority of ten people says in FER+. The classes
# are FER2013's seven; test faces that FER+ calls contempt are left out. See docs/datasets.md.
# The leaf places it: dataset=dict(_delete_=True, **_base_.fer2013_on_ferplus.train); likewise 'test'.
_faces = dict(
    type='mmfer.FERPlus',
    data_root='data/ferplus',
    pipeline=[dict(type='mmfer.LoadFace', size=48), dict(type='mmfer.PackFace')],
)
_seven = dict(metainfo=dict(classes='fer2013'), drop_classes=['contempt'])
fer2013_on_ferplus = dict(
    train=dict(**_faces, split='train', observed='fer2013'),
    test=dict(**_faces, **_seven, split='test', test_mode=True),
)
