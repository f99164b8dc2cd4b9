"""Metrics that MMPretrain lacks, and the protocol every run reports by."""

from mmfer.evaluation.confusion import confusion_matrix, majority_class, summarise
from mmfer.evaluation.fer_metric import FERMetric, PredictedFace
from mmfer.evaluation.protocol import protocol_report, report_table, write_report
from mmfer.evaluation.reconstruction import ReconstructionMetric

__all__ = [
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
