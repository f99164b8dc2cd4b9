"""Data structures that several parts share."""

from mmfer.structures.bank_column import Column
from mmfer.structures.face_batch import FaceBatch
from mmfer.structures.sample_bank import SampleBank
from mmfer.structures.trace import REFINABLE, SHARED, VOCABULARY, Trace

__all__ = ['REFINABLE', 'SHARED', 'VOCABULARY', 'Column', 'FaceBatch', 'SampleBank', 'Trace']
