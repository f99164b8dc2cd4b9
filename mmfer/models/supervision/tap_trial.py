"""A trial of the attribution of a tapped layer, when the network is built."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.overrides import TorchFunctionMode

from mmfer.models.probing.calls import main_calls
from mmfer.models.probing.feature_maps import Feature, Size
from mmfer.models.probing.trial import known_size, picture, recorded, run_classifier, undisturbed


@dataclass(frozen=True)
class Behind:
    """What a network runs behind a module.

    Args:
        modules: Their paths.
        ran: Those of all modules that the network runs.
        attention: Whether torch's attention is among it, whose fused kernels cannot be differentiated twice.
    """

    modules: frozenset[str] = frozenset()
    ran: frozenset[str] = frozenset()
    attention: bool = False

    def differentiable(self) -> AbstractContextManager[Any]:
        """Runs attention by the kernel that can be differentiated twice."""
        return sdpa_kernel(SDPBackend.MATH) if self.attention else nullcontext()


def what_runs_behind(model: nn.Module, path: str, size: Size) -> Behind:
    """Sees what a classifier runs behind a module, in a trial run."""
    ended = False
    ran: set[str] = set()
    after: set[str] = set()

    def start(name: str) -> Callable[[nn.Module, Any], None]:
        def hook(_module: nn.Module, _args: Any) -> None:
            ran.add(name)
            if ended:
                after.add(name)

        return hook

    def end(_module: nn.Module, _args: Any, _output: Any) -> None:
        nonlocal ended
        ended = True

    class SeeAttention(TorchFunctionMode):
        seen = False

        def __torch_function__(
            self, func: Callable[..., Any], types: Any, args: Any = (), kwargs: dict[str, Any] | None = None
        ) -> Any:
            self.seen |= ended and func in (F.scaled_dot_product_attention, F.multi_head_attention_forward)
            return func(*args, **(kwargs or {}))

    handles = [module.register_forward_pre_hook(start(name)) for name, module in model.named_modules()]
    handles.append(model.get_submodule(path).register_forward_hook(end))
    try:
        with undisturbed(model), torch.no_grad(), SeeAttention() as attention:
            run_classifier(model)(picture(model, size))
    finally:
        for handle in handles:
            handle.remove()
    return Behind(frozenset(after), frozenset(ran), attention.seen)


def problem_of_tap(model: nn.Module, path: str, size: Size, behind: Behind) -> str | None:
    """Why the attribution of a module's output is worth nothing, or cannot be had; None if it is in order.

    Args:
        model: The classifier.
        path: The module.
        size: (H, W) of the pictures.
        behind: What it runs behind that.
    """
    with undisturbed(model), torch.enable_grad(), recorded(model, [path]) as outputs, behind.differentiable():
        logits = run_classifier(model)(picture(model, size))
    if path not in outputs:  # it runs in training only
        return None
    feature = Feature(outputs[path], size)
    if feature.layout is None:
        return f'gives {feature.shape}, no map [N, C, H, W]'
    height, width = feature.as_map().shape[2:]
    if height * width == 1 and known_size(model) is not None:
        return f'gives one cell for inputs of {size[1]} px, and attributions are compared between cells'
    if not feature.tensor.requires_grad:  # frozen; that may change before the first step
        return None
    with behind.differentiable():
        (slope,) = torch.autograd.grad(logits.sum(), feature.tensor, create_graph=True, allow_unused=True)
        if slope is None:
            return 'does not lead to the logits'
        if slope.any() and not feature.as_map(slope).any():  # of a head that begins with zeros all is 0
            return 'does not lead to the logits: the cells of its map have no part in them'
        weights = [weight for weight in model.parameters() if weight.requires_grad]
        try:
            if slope.requires_grad:
                torch.autograd.grad((slope * feature.tensor).sum(), weights, allow_unused=True)
        except RuntimeError as error:
            return f'cannot be differentiated twice ({str(error).splitlines()[0]})'
    return None


def workable_tap(model: nn.Module, size: Size) -> str | None:
    """The latest stage of a classifier's backbone whose attribution can be had, by a trial of each."""
    for call in reversed(main_calls(model, size, run_classifier(model), within='backbone')):
        behind = what_runs_behind(model, call.path, size)
        if problem_of_tap(model, call.path, size, behind) is None:
            return call.path
    return None
