# LA-Net (arXiv 2307.09023). Placed by the leaf: model = dict(supervision=dict(lanet=_base_.lanet))
lanet = dict(
    taps=dict(shared='backbone.layer1'),
    branches=dict(
        landmark=dict(type='mmfer.LandmarkBranch', num_landmarks=19, inputs=dict(x='shared')),
        keys=dict(type='mmfer.MomentumKeys', queue_size=8192, momentum=0.999),
    ),
    refiners=dict(
        lde=dict(type='mmfer.LabelDistributionEstimation', num_neighbours=8, momentum=0.9, confidence=0.7),
    ),
    losses=dict(
        heatmap=dict(type='mmfer.LandmarkHeatmapLoss', points='aflw19', loss_weight=1.0),
        kl=dict(type='mmfer.DistributionKLLoss', loss_weight=1.0),
        contrast=dict(type='mmfer.LandmarkContrastiveLoss', temperature=0.1, loss_weight=0.1),
    ),
)
