# Plain ResNet-18 on FER+ by the paper's probability scheme: a label is drawn from a face's votes anew in each epoch.
# Tested on the majority, as every scheme of the paper is.
_base_ = ['./r18_ferplus.py']
train_dataloader = dict(dataset=dict(reading='probability'))
