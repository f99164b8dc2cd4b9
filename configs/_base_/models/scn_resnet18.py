# What supervision/scn.py needs: a head with an importance. Deployed it is the LinearClsHead of resnet18.py.
_base_ = './resnet18.py'
model = dict(head=dict(type='mmfer.SCNHead'))
