# SNA for inputs of 96 px and machines without a GPU: a small autoencoder of 48 px faces (autoencoder_rafdb_96px.py).
_base_ = './sna.py'
sna = dict(
    branches=dict(
        neighbours=dict(autoencoder=dict(size=48, channels=24), checkpoint='work_dirs/sna/autoencoder_rafdb_96px'),
    ),
)
