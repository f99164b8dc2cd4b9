# Drawn faces with wrong labels, trained long enough to learn them by heart, from a network that knows (drawn) people.
_base_ = './_base_/methods.py'
title = 'Synthetic faces with 30 % of wrong labels'
note = (
    '2,000 drawn faces of 64 px with 30 % symmetric noise, 40 epochs, batch 64, Adam 1e-3 linear to 0: long enough to '
    'learn wrong labels by heart. ResNet-18 with half its channels. All runs start from one network, trained to tell '
    '500 other synthetic people apart, as published methods start from face recognition; it has seen no expression '
    'label. All rows have the same data, augmentation, sampler and schedule, and the settings of their papers; what '
    "was chosen here, SCN's `scope='all'` (with the earlier start of its head) and the number of epochs, was chosen on "
    'seed 7, which is not in the table.'
)
seeds = [0, 1, 2]
train = ['--amp']
first = dict(
    people='configs/baseline/r18_synthfaces_people.py',
    autoencoder='configs/sna/autoencoder_synthfaces.py',
)

rows = {
    method: dict(
        config=f'configs/{folder}r18_synthfaces_sym30_40e.py',
        options={'model.pretrained': '{people}', **_base_._looks.get(method, {})},
    )
    for method, folder in _base_._folders.items()
}
rows['all but SCN'] = dict(
    config='configs/combined/scn_arm_pal_lanet_sna_r18_synthfaces_sym30_40e.py',
    options={'model.pretrained': '{people}', **_base_._looks['all five'], 'model.supervision.scn': None},
)
