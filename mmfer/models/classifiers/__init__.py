"""Classifiers."""

from mmfer.models.classifiers.fer_classifier import FERClassifier

__all__ = ['FERClassifier']
