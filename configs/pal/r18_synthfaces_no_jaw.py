# The prior without the 17 points of the jaw, which says little of an expression.
_base_ = './r18_synthfaces.py'
model = dict(supervision=dict(pal=dict(losses=dict(pal=dict(points='no_jaw')))))
