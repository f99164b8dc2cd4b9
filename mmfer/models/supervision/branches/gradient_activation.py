"""Gradient x input attribution of a tapped layer (PAL)."""

from collections.abc import Callable, Iterator, Mapping

from torch import Tensor, nn

from mmfer.functional import attribution, class_score
from mmfer.functional.attribution import KINDS, SCORES
from mmfer.models.supervision.step import full_precision
from mmfer.registry import MODELS


@MODELS.register_module()
class GradientActivation(nn.Module):
    """Publishes what the class score owes to each activation of a tapped layer, with its graph.

    A loss of the attribution therefore reaches the weights, by a second backward pass through the network behind the
    tap: free where that is average pooling and a linear layer, about one more pass over what lies behind an earlier
    tap. See `PAL <https://arxiv.org/abs/2203.12905>`_.

    The branch reads `feature`, which the config takes from a tap: ``inputs=dict(feature='stage4')``.

    Args:
        score: What is differentiated, see :func:`~mmfer.functional.class_score`.
        kind: `gradient_x_input` or `gradient`; behind average pooling the gradient alone is constant over the map, and
            says nothing.

    Shapes:
        feature: [N, C, H, W].
        logits: [N, K].
        label: [N], observed classes.
        publishes: attribution [N, C, H, W], float32 also under autocast.
    """

    publishes = ('attribution',)
    inputs: Mapping[str, str] = {}  # the config's renames; Supervision sets them

    def __init__(self, score: str = 'sum', kind: str = 'gradient_x_input'):
        super().__init__()
        for name, value, known in (('score', score, SCORES), ('kind', kind, KINDS)):
            if value not in known:
                raise ValueError(f'GradientActivation: {name} must be one of {", ".join(known)}, got {value!r}')
        self.score, self.kind = score, kind
        self.tap, self.path = 'feature', ''

    def setup(self, _model: nn.Module, supervision: nn.Module) -> None:
        """Notes which module is tapped."""
        self.tap = self.inputs.get('feature', 'feature')
        self.path = supervision.taps.paths.get(self.tap, '')

    def check(self, model: nn.Module, wrapper: nn.Module | None = None) -> None:
        """Refuses a network that cannot be differentiated twice behind the tap.

        Raises:
            ValueError: For SyncBatchNorm, activation checkpointing or compiled code there.
        """
        if not self.path:  # the feature is another branch's
            return
        behind = list(modules_behind(model, self.path))
        around = [(name, m) for name, m in model.named_modules() if not name or self.path.startswith(f'{name}.')]
        outside = [] if wrapper is None else [('', wrapper)]  # MMEngine compiles its step, not the network's
        refusals: tuple[tuple[list, Callable[[nn.Module], bool], str, str], ...] = (
            (behind, _synchronised, 'is a SyncBatchNorm',
             'tap the last stage (such as backbone.layer4), if no batch norm follows, or set sync_bn=None'),
            (around + behind, _checkpointed, 'recomputes its activations',
             'leave with_cp and activation_checkpointing off for it, or tap the last stage'),
            (outside + around + behind, _compiled, 'is compiled', 'train without compile'),
        )  # fmt: skip
        for modules, unfit, what, cure in refusals:
            for name, module in modules:
                if unfit(module):
                    raise ValueError(
                        f'GradientActivation differentiates twice behind the tap {self.path}, but '
                        f'{name or "the model"} {what}, which cannot be: {cure}'
                    )

    def forward(self, feature: Tensor, logits: Tensor, label: Tensor) -> dict[str, Tensor]:
        """Publishes the attribution.

        Raises:
            ValueError: If the feature is no map, nothing before it is trained, or it does not lead to the logits.
        """
        tap = f'the tap "{self.tap}"' + (f' ({self.path})' if self.path else '')
        if feature.ndim != 4:
            raise ValueError(f'{tap} gives {tuple(feature.shape)}, no map [N, C, H, W]: tap a convolutional stage')
        if not feature.requires_grad:
            raise ValueError(f'{tap} carries no gradient: nothing before it is trained, or autograd is off')
        with full_precision(feature.device.type):
            logits = logits.float() if logits.dtype.itemsize < 4 else logits
            score = class_score(logits, self.score, label)
            try:
                return {'attribution': attribution(score, feature, self.kind)}
            except ValueError:
                raise ValueError(f'{tap} does not lead to the logits: tap a stage that the head sees') from None


def modules_behind(model: nn.Module, path: str) -> Iterator[tuple[str, nn.Module]]:
    """Modules that are defined after the one of that path, which is the order in which networks run them."""
    passed = False
    for name, module in model.named_modules():
        if name == path or name.startswith(f'{path}.'):
            passed = True
        elif passed and name.split('.')[0] not in ('supervision', 'data_preprocessor'):
            yield name, module


def _synchronised(module: nn.Module) -> bool:
    # By name: mmcv's is another class, and not there without its compiled operators.
    return any(cls.__name__ == 'SyncBatchNorm' for cls in type(module).__mro__)


def _checkpointed(module: nn.Module) -> bool:
    forward = vars(module).get('forward')  # replaced by mmengine's `activation_checkpointing`
    replaced = getattr(forward, '__globals__', {}).get('__name__', '').endswith('activation_checkpointing')
    return bool(getattr(module, 'with_cp', False)) or replaced or type(module).__name__ == 'CheckpointWrapper'


def _compiled(module: nn.Module) -> bool:
    replaced = any(hasattr(value, '_torchdynamo_orig_callable') for value in vars(module).values())
    return replaced or module._compiled_call_impl is not None or type(module).__name__ == 'OptimizedModule'
