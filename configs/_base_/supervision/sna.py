# SNA (arXiv 2004.12725, of which we had the abstract alone: these settings are our reconstruction). Placed by the leaf:
# model = dict(supervision=dict(sna=_base_.sna)). The autoencoder is trained first, by autoencoder_*.py, which takes it
# from here.
sna = dict(
    branches=dict(
        neighbours=dict(
            type='mmfer.SemanticNeighbours',
            autoencoder=dict(type='mmfer.FaceAutoEncoder', size=112),
            checkpoint='work_dirs/sna/autoencoder_rafdb',
            # About 3 times a plain step; 'random' is 2.2 times, and weaker. See docs/methods/sna.md.
            kind='adversarial',
            max_noise=0.5,
            radius=2.0,
            xi=0.1,
        ),
    ),
    refiners=dict(
        reliability=dict(
            type='mmfer.ReliabilityWeights', momentum=0.9, fraction=0.1, warmup=5, floor=0.1, temperature=0.1
        ),
    ),
    losses=dict(
        smooth=dict(type='mmfer.NeighborhoodSmoothnessLoss', loss_weight=[(0, 0.0), (5, 1.0)]),
    ),
)
