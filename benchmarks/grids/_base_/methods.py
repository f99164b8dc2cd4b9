# Folders of configs by method, and what SNA's rows look at faces through: `first` trains it as `autoencoder`.
_folders = {
    'plain': 'baseline/',
    'SCN': 'scn/',
    'ARM': 'arm/',
    'PAL': 'pal/',
    'LA-Net': 'lanet/',
    'SNA': 'sna/',
    'all five': 'combined/scn_arm_pal_lanet_sna_',
}
_looks = {
    method: {'model.supervision.sna.branches.neighbours.checkpoint': '{autoencoder}'} for method in ('SNA', 'all five')
}
