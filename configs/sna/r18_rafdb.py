# SNA ResNet-18 on RAF-DB: the abstract says nothing of the schedule, so it is the baseline's (80 epochs, 224 px,
# batch 128 in all: on N GPUs set train_dataloader.batch_size to 128 / N). First: autoencoder_rafdb.py.
_base_ = ['../baseline/r18_rafdb.py', '../_base_/supervision/sna.py']
model = dict(supervision=dict(sna=_base_.sna))
