# Plain ResNet-18 on RAF-DB with 30 % symmetric label noise, CPU-sized: 96 px, 12 epochs, from scratch.
_base_ = './r18_rafdb_96px_12e.py'
train_dataloader = dict(dataset=dict(label_noise=dict(kind='symmetric', rate=0.3, seed=0)))
