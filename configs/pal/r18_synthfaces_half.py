# On layer3, as the last stage's map of 2 x 2 cells hardly tells strategies apart: only the first half of the channels
# is drawn to the landmarks; the others are free.
_base_ = './r18_synthfaces_layer3.py'
model = dict(supervision=dict(pal=dict(losses=dict(pal=dict(strategy='half')))))
