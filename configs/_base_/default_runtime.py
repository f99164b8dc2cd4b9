# What every run shares.
default_scope = 'mmpretrain'
# Which split may choose an epoch. None: every epoch is reported, none is chosen. 'val': the best on a held-out part of
# train is kept. 'test': the best on the test set is kept, and the log says so.
select_on = None
default_hooks = dict(
    logger=dict(type='LoggerHook', interval=20),
    checkpoint=dict(type='mmfer.CheckpointHook', interval=1, max_keep_ckpts=2, save_last=True),
    runtime_info=dict(type='mmfer.StepScalarsHook'),
    # Not in custom_hooks, a list, which a child config would replace as a whole. None takes one out.
    reseed=dict(type='mmfer.ReseedHook'),
    resume=dict(type='mmfer.ResumeHook'),
    finite=dict(type='mmfer.FiniteHook'),
    sample_bank=dict(type='mmfer.SampleBankHook'),
    noise_report=dict(type='mmfer.NoiseReportHook'),
    relabel_log=dict(type='mmfer.RelabelLogHook'),
    protocol=dict(type='mmfer.ProtocolHook'),
)
env_cfg = dict(cudnn_benchmark=False, mp_cfg=dict(mp_start_method='fork', opencv_num_threads=0))
randomness = dict(seed=0, deterministic=False)
visualizer = dict(type='Visualizer', vis_backends=[dict(type='LocalVisBackend')])
log_level = 'INFO'
load_from = None
resume = False
