"""Passes that do not keep what normalisation, activations and pooling give, but make it again in the backward pass."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.weak import TensorWeakRef

_aten = torch.ops.aten
_BATCH_NORMS = (_aten.native_batch_norm.default, _aten.cudnn_batch_norm.default)  # with the same places of arguments
_OTHER_NORMS = (_aten.native_layer_norm.default, _aten.native_group_norm.default)
_ACTIVATIONS = (_aten.gelu.default, _aten.silu.default, _aten.hardswish.default)
"""Those whose gradient needs what they are given, so that this is kept anyway."""
_CONVOLUTION = _aten.convolution.default
_STATISTICS, _TRAINING = slice(3, 5), 5
_ENLARGES = (_aten.upsample_nearest2d.default, _aten.upsample_nearest2d.vec)
_FOLLOW = (_aten.relu.default, _aten.relu_.default, _aten.max_pool2d_with_indices.default)


@contextmanager
def remade_maps(model: nn.Module, share: float = 0.5, products: int = 0) -> Iterator[None]:
    """Within it a network leaves less behind for its backward pass; values and gradients are the same to the bit.

    A convolution's map is kept, as normalisation needs it; what that and an activation and maximum pooling right behind
    make of it is made again when it is needed. Of a ResNet's stem these are three times what is kept: the map behind
    the ReLU, the pooled one, and the places of the maxima, which take 8 bytes each. Maps that are enlarged are kept as
    they were before. Without a graph, or where something is compiled, it does nothing.

    Args:
        model: The network.
        share: How large a normalised map must be, as a share of the largest before it, to be worth its time. 0: any.
        products: Convolutions whose values are sums of at most so many products are made again, too: 576 are 3 x 3
            cells of 64 channels, and more than most shortcuts of a residual network have.
    """
    if not torch.is_grad_enabled() or _compiles(model):
        yield
        return
    mode = _Watch(share, products)
    with torch.autograd.graph.saved_tensors_hooks(mode.keep, _given), mode:
        yield


class _Recipe:
    """How a map is made again.

    Args:
        operation: What made it.
        args: Its arguments, without the first one where that is remade, too.
        first: The first argument, where it is.
    """

    def __init__(self, operation: Any, args: tuple[Any, ...], first: _Remade | None = None):
        # Without their graph, of which this becomes a part.
        self._args = tuple(value.detach() if isinstance(value, Tensor) else value for value in args)
        self._given = [(TensorWeakRef(value), value._version) for value in args if isinstance(value, Tensor)]
        self._operation, self._first = operation, first
        self.uses = self._left = 0
        """How often a backward pass asks for what it gives."""
        self._results: tuple[Tensor, ...] = ()
        if first is not None:
            first.recipe.uses += 1

    def result(self, number: int) -> Tensor:
        """One of the operation's results; made once for all uses, and then let go.

        Raises:
            RuntimeError: What it is made of was overwritten.
        """
        if not self._results:
            if any((value := given()) is not None and value._version != version for given, version in self._given):
                raise RuntimeError(
                    f'the backward pass needs what {self._operation} was given, which an operation in place has changed'
                )
            first = () if self._first is None else (self._first.recipe.result(self._first.number),)
            with torch.no_grad():
                results = self._operation(*first, *self._args)
            self._results, self._left = results if isinstance(results, tuple) else (results,), self.uses
        result = self._results[number]
        self._left -= 1
        if not self._left:
            self._results = ()
        return result


@dataclass(frozen=True)
class _Remade:
    """Stands for a map in autograd's graph."""

    recipe: _Recipe
    number: int
    shape: torch.Size
    stride: tuple[int, ...]


class _Watch(TorchDispatchMode):
    """Notes how maps are made."""

    def __init__(self, share: float, products: int):
        super().__init__()  # type: ignore[no-untyped-call]
        self._share, self._products, self._largest = share, products, 0
        self._remade: dict[int, _Remade] = {}
        """By the place in memory where the map lies, for as long as nothing else lies there."""

    def __torch_dispatch__(
        self, operation: Any, types: Any, args: Any = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        recipe = None if kwargs else self._recipe(operation, args)
        results = operation(*args, **(kwargs or {}))
        if not operation.is_view:
            changed = [args[place] for place in _written(operation) if place < len(args)]
            for tensor in tree_leaves((results, changed)):
                if isinstance(tensor, Tensor):
                    self._remade.pop(_place(tensor), None)
        if recipe is not None:
            maps = results if isinstance(results, tuple) else (results,)
            first_only = operation in (*_BATCH_NORMS, *_OTHER_NORMS)  # the rest are its statistics
            for number, made in enumerate(maps[:1] if first_only else maps):
                self._remade[_place(made)] = _Remade(recipe, number, made.shape, made.stride())
        return results

    def _recipe(self, operation: Any, args: Any) -> _Recipe | None:
        if (operation in _BATCH_NORMS and args[_TRAINING]) or operation in (*_OTHER_NORMS, *_ACTIVATIONS):
            size = args[0].nbytes
            self._largest = max(self._largest, size)
            if size < self._share * self._largest:
                return None
            if operation in _BATCH_NORMS:  # without the running statistics: those of the network move on once a pass
                args = (*args[: _STATISTICS.start], None, None, *args[_STATISTICS.stop :])
            return self._behind(operation, args)
        if operation in _ENLARGES or (operation is _CONVOLUTION and args[1][0].numel() <= self._products):
            return _Recipe(operation, args)
        return self._behind(operation, args) if operation in _FOLLOW and self._known(args[0]) else None

    def _behind(self, operation: Any, args: Any) -> _Recipe:
        """Where the first argument is remade, from what that is made of."""
        first = self._known(args[0])
        return _Recipe(operation, args) if first is None else _Recipe(operation, args[1:], first)

    def _known(self, tensor: Tensor) -> _Remade | None:
        known = self._remade.get(_place(tensor))
        return known if known is not None and (known.shape, known.stride) == (tensor.shape, tensor.stride()) else None

    def keep(self, tensor: Tensor) -> Tensor | _Remade:
        """What autograd's graph is to hold of a tensor."""
        known = self._known(tensor)
        if known is None:
            return tensor
        known.recipe.uses += 1
        return known


def _given(kept: Tensor | _Remade) -> Tensor:
    return kept if isinstance(kept, Tensor) else kept.recipe.result(kept.number)


def _place(tensor: Tensor) -> int:
    return tensor.untyped_storage().data_ptr()


def _compiles(model: nn.Module) -> bool:
    """Whether torch compiles it, or a module in it."""
    return torch.compiler.is_compiling() or any(m._compiled_call_impl is not None for m in model.modules())


@cache
def _written(operation: Any) -> tuple[int, ...]:
    """The places of the arguments that an operation changes."""
    arguments = operation._schema.arguments
    return tuple(i for i, argument in enumerate(arguments) if argument.alias_info and argument.alias_info.is_write)
