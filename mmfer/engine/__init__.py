"""What runs around a model: hooks."""

from mmfer.engine import hooks

__all__ = ['hooks']
