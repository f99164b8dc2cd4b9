# Trained on RAF-DB, tested on FER+: classes are mapped by name, and those that RAF-DB lacks are left out on purpose.
#   python tools/test.py configs/baseline/r18_rafdb_on_ferplus.py CHECKPOINT
_base_ = ['./r18_rafdb.py', '../_base_/datasets/ferplus.py']
_ferplus = dict(**_base_.ferplus.test, metainfo=dict(classes='rafdb'), drop_classes=['contempt'])
test_dataloader = dict(dataset=dict(_delete_=True, **_ferplus))
