# Only the first half of the channels is drawn to the landmarks; the others are free.
_base_ = './r18_synthfaces.py'
model = dict(supervision=dict(pal=dict(losses=dict(pal=dict(strategy='half')))))
