# All five methods together on synthetic faces with 30 % symmetric label noise.
_base_ = './scn_arm_pal_lanet_sna_r18_synthfaces.py'
train_dataloader = dict(dataset=dict(label_noise=dict(kind='symmetric', rate=0.3, seed=0)))
