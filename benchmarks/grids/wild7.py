# Real faces with and without synthetic label noise: what a start that knows faces is worth to each method.
_base_ = './_base_/methods.py'
title = 'wild7: real faces, clean and with 30 % of wrong labels'
note = (
    'wild7 has 3,224 + 732 faces in the layout of RAF-DB, with other people in test. 96 px, 12 epochs, batch 64; all '
    'rows have the data, augmentation, sampler and schedule of the plain network. `faces`: the network that dlib '
    'recognises faces with, from its weights (`dlib://face`); `scratch`: the same network without them; `R18`: '
    'ResNet-18 from scratch. Nothing was chosen on the test set.'
)
seeds = [0, 1, 2]
train = ['--amp']
settings = {
    'clean labels': {},
    '30 % wrong, symmetric': {'train_dataloader.dataset.label_noise': dict(kind='symmetric', rate=0.3, seed=0)},
}
first = dict(autoencoder='configs/sna/autoencoder_rafdb_96px.py')

_STARTS = {
    'faces': ('dlibface_rafdb_96px_12e.py', {}),
    'scratch': ('dlibface_rafdb_96px_12e.py', {'model.pretrained': None}),
    'R18': ('r18_rafdb_96px_12e.py', {}),
}
rows = {
    f'{method}, {start}': dict(
        config=f'configs/{folder}{file}',
        options={**options, **_base_._looks.get(method, {})},
        against=f'plain, {start}',
    )
    for start, (file, options) in _STARTS.items()
    for method, folder in _base_._folders.items()
}
rows['LA-Net with tails, R18'] = dict(
    config='configs/lanet/r18_rafdb_96px_12e.py',
    options={'model.supervision.lanet.losses.heatmap.tails': True},
    against='plain, R18',
)
