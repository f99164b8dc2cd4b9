"""Gradient x input attribution of a tapped layer (PAL)."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from typing import Any

from torch import Tensor, nn

from mmfer.functional import attribution, class_score
from mmfer.functional.attribution import KINDS, SCORES
from mmfer.models.probing.feature_maps import Feature
from mmfer.models.probing.trial import trial_size
from mmfer.models.supervision.part import Part, Surroundings
from mmfer.models.supervision.step import full_precision
from mmfer.models.supervision.tap_trial import Behind, problem_of_tap, what_runs_behind, workable_tap
from mmfer.registry import MODELS


@MODELS.register_module()
class GradientActivation(Part):
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
        feature: [N, C, H, W], or whatever the tapped module puts out: autograd is asked about that, and the answer
            becomes a map.
        logits: [N, K].
        label: [N], observed classes.
        publishes: attribution [N, C, H, W], float32 also under autocast.
    """

    publishes = ('attribution',)
    as_given = ('feature',)

    def __init__(self, score: str = 'sum', kind: str = 'gradient_x_input'):
        super().__init__()
        for name, value, known in (('score', score, SCORES), ('kind', kind, KINDS)):
            if value not in known:
                raise ValueError(f'GradientActivation: {name} must be one of {", ".join(known)}, got {value!r}')
        self.score, self.kind = score, kind
        self.tap, self.path = 'feature', ''
        self.behind = Behind()

    def setup(self, model: nn.Module, supervision: Surroundings) -> None:
        """Notes which module is tapped, and tries whether its attribution can be had.

        Raises:
            ValueError: If it cannot; names a tap where it can.
        """
        self.tap = self.inputs.get('feature', 'feature')
        self.path = supervision.taps.paths.get(self.tap, '')
        size = trial_size(model) if self.path else None
        if size is None:  # the feature is another branch's, or the network runs on a GPU only
            return
        self.behind = what_runs_behind(model, self.path, size)
        self.check(model)
        problem = problem_of_tap(model, self.path, size, self.behind)
        if problem is not None:
            other = workable_tap(model, size)
            cure = f'set {supervision.taps.places[self.tap]}={other}' if other else 'give larger faces'
            raise ValueError(f'the tap "{self.tap}" ({self.path}) {problem}: {cure}')

    def around(self) -> AbstractContextManager[Any]:
        """What the network has to run in, so that it can be differentiated twice."""
        return self.behind.differentiable()

    def uncompiled(self, model: nn.Module) -> list[nn.Module]:
        """What runs behind the tap: compiled code can be differentiated once."""
        return [module for _, module in modules_behind(model, self.path, self.behind)] if self.path else []

    def check(self, model: nn.Module, wrapper: nn.Module | None = None) -> None:
        """Refuses a network that cannot be differentiated twice behind the tap.

        Raises:
            ValueError: For SyncBatchNorm, activation checkpointing or compiled code there.
        """
        if not self.path:  # the feature is another branch's
            return
        behind = list(modules_behind(model, self.path, self.behind))
        around = [(name, m) for name, m in model.named_modules() if not name or self.path.startswith(f'{name}.')]
        outside = [] if wrapper is None else [('', wrapper)]  # MMEngine compiles its step, not the network's
        refusals: tuple[tuple[list[Any], Callable[[nn.Module], bool], str, str], ...] = (
            (behind, _synchronised, 'is a SyncBatchNorm',
             'tap the last stage (such as backbone.layer4), if no batch norm follows, or set sync_bn=None'),
            (around + behind, recomputes, 'recomputes its activations',
             'leave with_cp and activation_checkpointing off for it, or tap the last stage'),
            (outside + around + behind, _compiled, 'is compiled', 'leave it to --compile, which does not compile it'),
        )  # fmt: skip
        for modules, unfit, what, cure in refusals:
            for name, module in modules:
                if unfit(module):
                    raise ValueError(
                        f'GradientActivation differentiates twice behind the tap {self.path}, but '
                        f'{name or "the model"} {what}, which cannot be: {cure}'
                    )

    def forward(self, feature: Tensor | Feature, logits: Tensor, label: Tensor) -> dict[str, Tensor]:
        """Publishes the attribution.

        Raises:
            ValueError: If the feature is no map, nothing before it is trained, or it does not lead to the logits.
        """
        feature = feature if isinstance(feature, Feature) else Feature(feature)
        tap = f'the tap "{self.tap}"' + (f' ({self.path})' if self.path else '')
        if feature.layout is None:
            raise ValueError(f'{tap} gives {feature.shape}, no map [N, C, H, W]: tap a stage that gives one')
        if not feature.tensor.requires_grad:
            raise ValueError(f'{tap} carries no gradient: nothing before it is trained, or autograd is off')
        with full_precision(feature.tensor.device.type):
            logits = logits.float() if logits.dtype.itemsize < 4 else logits
            score = class_score(logits, self.score, label)
            try:
                values = attribution(score, feature.tensor, self.kind)
            except ValueError:
                raise ValueError(f'{tap} does not lead to the logits: tap a stage that the head sees') from None
            return {'attribution': feature.as_map(values)}


def modules_behind(model: nn.Module, path: str, seen: Behind) -> Iterator[tuple[str, nn.Module]]:
    """Modules that ran behind the one of that path in a trial; of those that did not run, the ones defined later."""
    passed = False
    for name, module in model.named_modules():
        if name == path or name.startswith(f'{path}.'):
            passed = True
        elif name.split('.')[0] in ('', 'supervision', 'data_preprocessor'):
            continue
        elif name in seen.modules or (passed and name not in seen.ran):
            yield name, module


def _synchronised(module: nn.Module) -> bool:
    # By name: mmcv's is another class, and not there without its compiled operators.
    return any(cls.__name__ == 'SyncBatchNorm' for cls in type(module).__mro__)


def recomputes(module: nn.Module) -> bool:
    """Whether a module throws its activations away, and computes them again in the backward pass."""
    forward = vars(module).get('forward')  # replaced by mmengine's `activation_checkpointing`
    replaced = getattr(forward, '__globals__', {}).get('__name__', '').endswith('activation_checkpointing')
    return bool(getattr(module, 'with_cp', False)) or replaced or type(module).__name__ == 'CheckpointWrapper'


def _compiled(module: nn.Module) -> bool:
    replaced = any('_torchdynamo_orig_callable' in dir(value) for value in vars(module).values())
    return replaced or module._compiled_call_impl is not None or type(module).__name__ == 'OptimizedModule'
