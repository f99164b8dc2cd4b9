# Plain ResNet-18 on RAF-DB with 10 % symmetric label noise.
_base_ = './r18_rafdb.py'
train_dataloader = dict(dataset=dict(label_noise=dict(kind='symmetric', rate=0.10, seed=0)))
