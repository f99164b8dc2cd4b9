# Every channel by itself, summed. The weight (ours) keeps 512 channels together as strong as their mean is.
_base_ = './r18_synthfaces.py'
model = dict(supervision=dict(pal=dict(losses=dict(pal=dict(strategy='all', loss_weight=1 / 512)))))
