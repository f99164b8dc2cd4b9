# LA-Net on synthetic faces with 30 % symmetric label noise.
_base_ = './r18_synthfaces.py'
train_dataloader = dict(dataset=dict(label_noise=dict(kind='symmetric', rate=0.3, seed=0)))
