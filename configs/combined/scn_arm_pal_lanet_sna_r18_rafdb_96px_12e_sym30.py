# All five methods together on RAF-DB with 30 % symmetric label noise, CPU-sized: 96 px, 12 epochs, from scratch.
_base_ = './scn_arm_pal_lanet_sna_r18_rafdb_96px_12e.py'
train_dataloader = dict(dataset=dict(label_noise=dict(kind='symmetric', rate=0.3, seed=0)))
