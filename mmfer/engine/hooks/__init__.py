"""Hooks."""

from mmfer.engine.hooks.auto_encoder_sheets import AutoEncoderSheetHook
from mmfer.engine.hooks.checkpoint import CheckpointHook
from mmfer.engine.hooks.compile import CompileHook
from mmfer.engine.hooks.drawn_labels import DrawnLabelsHook
from mmfer.engine.hooks.finite import FiniteHook
from mmfer.engine.hooks.noise_report import NoiseReportHook
from mmfer.engine.hooks.protocol import ProtocolHook
from mmfer.engine.hooks.relabel_log import RelabelLogHook
from mmfer.engine.hooks.reseed import ReseedHook
from mmfer.engine.hooks.resume import ResumeHook
from mmfer.engine.hooks.sample_bank import SampleBankHook
from mmfer.engine.hooks.step_scalars import StepScalarsHook

__all__ = [
    'AutoEncoderSheetHook',
    'CheckpointHook',
    'CompileHook',
    'DrawnLabelsHook',
    'FiniteHook',
    'NoiseReportHook',
    'ProtocolHook',
    'RelabelLogHook',
    'ReseedHook',
    'ResumeHook',
    'SampleBankHook',
    'StepScalarsHook',
]
