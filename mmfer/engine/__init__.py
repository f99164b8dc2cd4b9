"""What runs around a model: hooks, and the loop."""

from mmfer.engine import epoch_loop, hooks

__all__ = ['epoch_loop', 'hooks']
