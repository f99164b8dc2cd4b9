# SCN ResNet-18 on RAF-DB and AffectNet together, tested on RAF-DB, as in the paper's last table; the setting is that of
# r18_rafdb.py. Classes are mapped by name, and every face keeps an index of its own.
_base_ = ['./r18_rafdb.py', '../_base_/datasets/affectnet.py']
_affectnet = {
    **_base_.affectnet7.train,
    'metainfo': dict(classes='rafdb'),
    'pipeline': _base_.rafdb.train.pipeline,  # images of one size
}
train_dataloader = dict(
    dataset=dict(_delete_=True, type='mmfer.ConcatFaces', datasets=[_base_.rafdb.train, _affectnet]),
)
