# On layer3, as the last stage's map of 2 x 2 cells hardly tells strategies apart: every channel by itself, summed. The
# weight (ours) keeps 256 channels together as strong as their mean is.
_base_ = './r18_synthfaces_layer3.py'
model = dict(supervision=dict(pal=dict(losses=dict(pal=dict(strategy='all', loss_weight=1 / 256)))))
