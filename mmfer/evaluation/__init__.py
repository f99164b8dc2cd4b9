"""Metrics that MMPretrain lacks, and the protocol every run reports by."""

from mmfer.evaluation.confusion import confusion_matrix, majority_class, summarise
from mmfer.evaluation.error_metric import EmbeddingMetric, ReconstructionMetric
from mmfer.evaluation.fer_metric import FERMetric, PredictedFace
from mmfer.evaluation.protocol import protocol_report, report_table, write_report

__all__ = [
    'EmbeddingMetric',
    'FERMetric',
    'PredictedFace',
    'ReconstructionMetric',
    'confusion_matrix',
    'majority_class',
    'protocol_report',
    'report_table',
    'summarise',
    'write_report',
]
