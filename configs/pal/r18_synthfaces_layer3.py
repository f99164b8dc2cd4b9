# An earlier stage with more cells: 4 x 4. The second backward pass goes through layer4, whose batch norm must therefore
# not be synchronised: see docs/methods/pal.md.
_base_ = './r18_synthfaces.py'
model = dict(supervision=dict(pal=dict(taps=dict(stage4='backbone.layer3'))))
sync_bn = None
