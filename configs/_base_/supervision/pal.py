# PAL (arXiv 2203.12905). Placed by the leaf: model = dict(supervision=dict(pal=_base_.pal)); another layer is another
# path of the tap: pal.taps.stage4 = 'backbone.layer3'.
pal = dict(
    taps=dict(stage4='backbone.layer4'),  # a late convolution, as the paper's
    branches=dict(
        gradient=dict(
            type='mmfer.GradientActivation',
            score='sum',  # the paper's: sum of the logits
            kind='gradient_x_input',
            inputs=dict(feature='stage4'),
        ),
    ),
    losses=dict(
        pal=dict(
            type='mmfer.PrivilegedAttributionLoss',
            strategy='mean',
            points='all',
            sigma=3.0,  # ours: px of a 112 px face
            loss_weight=1.0,
        ),
    ),
)
