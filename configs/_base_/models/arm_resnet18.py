# ResNet-18 with ARM (arXiv 2103.10189) instead of global average pooling. The two numbers follow the input:
# 224 px: map_size 7, head 121; 96 px: 3, 81; 64 px: 2, 81. The head starts as torch's linear layers do, as the code's.
_base_ = './resnet18.py'
model = dict(neck=dict(type='mmfer.ARM', in_channels=512, map_size=7), head=dict(in_channels=121, init_cfg=None))
