# SNA for the synthetic faces: a small autoencoder of 48 px faces (autoencoder_synthfaces.py).
_base_ = './sna.py'
sna = dict(
    branches=dict(
        neighbours=dict(autoencoder=dict(size=48, channels=24), checkpoint='work_dirs/sna/autoencoder_synthfaces'),
    ),
)
