"""The supervision of a run's model."""

from mmengine.model import is_model_wrapper
from mmengine.runner import Runner

from mmfer.models.supervision import Supervision


def supervision_of(runner: Runner) -> Supervision | None:
    """The supervision of the runner's model, if it has one."""
    model = runner.model.module if is_model_wrapper(runner.model) else runner.model
    return getattr(model, 'supervision', None)
