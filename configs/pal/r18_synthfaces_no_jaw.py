# On layer3, as the last stage's map of 2 x 2 cells hardly tells landmarks apart: the prior without the 17 points of the
# jaw, which says little of an expression.
_base_ = './r18_synthfaces_layer3.py'
model = dict(supervision=dict(pal=dict(losses=dict(pal=dict(points='no_jaw')))))
