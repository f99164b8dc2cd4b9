"""Which modules of a network torch.compile may make kernels of."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from torch import nn
from torch.nn.parallel import DistributedDataParallel

from mmfer.models.supervision import Supervision
from mmfer.models.supervision.branches.gradient_activation import recomputes


def regions(model: nn.Module) -> dict[str, nn.Module]:
    """The largest modules that can be compiled each for itself, by path.

    A step is more than its network: parts write to banks, queues and logs, and taps hang hooks on modules, which
    compiled code would take for what they were when it was made. So the step stays as it is, and modules that it calls
    are compiled. A module that a tap hangs on, or that a part wants as it is
    (:meth:`~mmfer.models.supervision.Part.uncompiled`), is in no region; what it consists of may be. Neither is one
    with a single layer of weights, which has nothing to be fused with.

    Args:
        model: A classifier, or whatever else is trained.
    """
    supervision = getattr(model, 'supervision', None)
    apart = {id(module) for module in _apart(model, supervision)} if isinstance(supervision, Supervision) else set()
    return dict(_search(model, apart))


def compile_refusal(model: nn.Module) -> str | None:
    """Why a model that is built cannot be compiled, in a sentence; None where it can be.

    Args:
        model: As it will run: also wrapped for several processes.
    """
    if isinstance(model, DistributedDataParallel):
        model = model.module
    elif hasattr(model, 'module'):
        return (
            f'compile goes with DistributedDataParallel, not with {type(model).__name__}, which takes modules apart: '
            'train without it, or without that model_wrapper_cfg'
        )
    checkpointed = next((name for name, module in model.named_modules() if recomputes(module)), None)
    if checkpointed is not None:
        return (
            f'compile would undo that {checkpointed} recomputes its activations: train without it, or leave with_cp '
            'and activation_checkpointing off'
        )
    if not regions(model):
        return (
            f'compile finds nothing to compile in {type(model).__name__}: no module with two layers is left behind '
            'taps, and what is differentiated twice: train without it, or tap a later stage'
        )
    return None


def compile_in_place(model: nn.Module, **settings: Any) -> list[str]:
    """Compiles the regions of a model, each for itself; their kernels are made when the first step needs them.

    Args:
        model: As it will run: also wrapped for several processes.
        **settings: Of `torch.compile`.

    Returns:
        The paths of what is compiled.

    Raises:
        ValueError: The model cannot be compiled.
    """
    from torch._dynamo import config as dynamo  # takes long, and few runs need it

    refusal = compile_refusal(model)
    if refusal is not None:
        raise ValueError(refusal)
    found = regions(model.module if isinstance(model, DistributedDataParallel) else model)
    # All modules are run by one function of torch's, for which 8 variants are allowed: from the ninth on the rest
    # would not be compiled. Each has one for training, and one more for each kind of pass (with, without a graph).
    dynamo.cache_size_limit = max(dynamo.cache_size_limit, 8 * len(found))
    dynamo.accumulated_cache_size_limit = max(dynamo.accumulated_cache_size_limit, 8 * len(found))
    for module in found.values():
        module.compile(**settings)
    return list(found)


def _apart(model: nn.Module, supervision: Supervision) -> Iterator[nn.Module]:
    yield supervision
    for path in supervision.taps.paths.values():
        yield model.get_submodule(path)
    for part in supervision.parts:
        yield part  # what it does is no network: it writes, and calls other processes
        yield from part.uncompiled(model)


def _search(module: nn.Module, apart: set[int], before: str = '') -> Iterator[tuple[str, nn.Module]]:
    for name, child in module.named_children():
        called = type(child).forward is not nn.Module.forward  # a list of modules is not
        if called and _layers(child) > 1 and not any(id(inner) in apart for inner in child.modules()):
            yield f'{before}{name}', child
        else:
            yield from _search(child, apart, f'{before}{name}.')


def _layers(module: nn.Module) -> int:
    return sum(next(layer.parameters(recurse=False), None) is not None for layer in module.modules())
