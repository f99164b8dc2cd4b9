"""Blocks that keep for the backward pass what is dear to compute, and compute the rest again."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from functools import cache, partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.checkpoint import checkpoint

_aten = torch.ops.aten
_SECOND_FACTOR = {_aten.convolution.default: 1, _aten.mm.default: 1, _aten.addmm.default: 2, _aten.bmm.default: 1}
_CHEAP = 576
"""Products a value up to which it is computed again, as of 3 x 3 cells of 64 channels."""


def run_lean(module: nn.Module, x: Any) -> Any:
    """What a module gives for x, with the memory of about half its activations.

    A block of a residual network holds two maps a convolution until the backward pass: what the convolution gives, and
    what normalisation and ReLU make of it for the next. The second is computed again from the first, block by block,
    which costs about what reading and writing it costs; values and gradients are the same to the bit. Without a graph
    it is the plain call, and where torch compiles, which chooses by itself what to compute again.

    Args:
        module: Any; a sequence is run piece by piece, so that no two pieces have all their maps at once.
        x: What it takes.
    """
    if not torch.is_grad_enabled() or compiles(module):
        return module(x)
    runs_its_pieces = isinstance(module, nn.Sequential) and type(module).forward is nn.Sequential.forward
    pieces = list(module.children()) if runs_its_pieces else [module]
    for piece in pieces:  # so that hooks on any of them run, and in the first pass only
        vars(piece)['forward'] = partial(_run_block, piece, piece.forward)
    try:
        return module(x)
    finally:
        for piece in pieces:
            del vars(piece)['forward']


def compiles(module: nn.Module) -> bool:
    """Whether torch compiles it, or a module in it."""
    return torch.compiler.is_compiling() or any(m._compiled_call_impl is not None for m in module.modules())


def _run_block(block: nn.Module, forward: Callable[..., Any], x: Any, *args: Any, **kwargs: Any) -> Any:
    if args or kwargs or not isinstance(x, Tensor):
        return forward(x, *args, **kwargs)
    memory = _Memory(x)
    contexts = _First(memory), _Again(block, memory)
    # Not x itself, which torch would forbid to overwrite; a tensor tells it of which device to keep the random state.
    where = x.new_empty(0)
    return checkpoint(lambda _: forward(memory.input(x)), where, use_reentrant=False, context_fn=lambda: contexts)


class _Memory:
    """What a block's first run leaves for its second.

    Args:
        x: What the block takes.
    """

    def __init__(self, x: Tensor):
        self.place, self.needs_grad = x.untyped_storage().data_ptr(), x.requires_grad
        self.given: Tensor | None = None
        """What the block was given, where it has overwritten it."""
        self.kept: deque[Tensor] = deque()
        """What the dear operations gave, in order."""

    def input(self, x: Tensor) -> Tensor:
        """What the block was given, on its second run as on its first."""
        # Not the leaf itself, which could not be overwritten.
        return x if self.given is None else self.given.detach().requires_grad_(self.needs_grad).clone()

    def before_a_change(self, changed: Tensor) -> None:
        """Copies what is kept before the block overwrites it, as a ReLU right behind a convolution does."""
        place = changed.untyped_storage().data_ptr()
        for number, kept in enumerate(self.kept):
            if kept.untyped_storage().data_ptr() == place:
                self.kept[number] = kept.clone()
        if place == self.place and self.given is None:
            self.given = changed.clone()


class _First(TorchDispatchMode):
    """Keeps what the dear operations give."""

    def __init__(self, memory: _Memory):
        super().__init__()  # type: ignore[no-untyped-call]
        self._memory = memory

    def __torch_dispatch__(
        self, operation: Any, types: Any, args: Any = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        return self._run(operation, args, kwargs or {})

    def _run(self, operation: Any, args: Any, kwargs: Mapping[str, Any]) -> Any:
        for place in written(operation):
            if place < len(args) and isinstance(args[place], Tensor):
                self._memory.before_a_change(args[place])
        result = operation(*args, **kwargs)
        if _is_dear(operation, args):
            self._memory.kept.append(result.detach())
        return result


class _Second(_First):
    """Gives what was kept; where nothing is left, as in a second backward pass, computes it."""

    def _run(self, operation: Any, args: Any, kwargs: Mapping[str, Any]) -> Any:
        if self._memory.kept and _is_dear(operation, args):
            return self._memory.kept.popleft()
        return operation(*args, **kwargs)


class _Again:
    """Runs a block again, without a trace in its buffers, such as the statistics of batch normalisation.

    torch enters it once for each backward pass.
    """

    def __init__(self, block: nn.Module, memory: _Memory):
        self._block, self._memory = block, memory

    def __enter__(self) -> None:
        self._before = [buffer.clone() for buffer in self._block.buffers()]
        self._take = _Second(self._memory)
        self._take.__enter__()  # type: ignore[no-untyped-call]

    def __exit__(self, *error: Any) -> None:
        self._take.__exit__(*error)  # type: ignore[no-untyped-call]
        self._memory.kept.clear()  # torch stops where all is there that the backward pass needs
        if self._before:  # past autograd, which would count it as a change to what backward needs
            torch._foreach_copy_([buffer.data for buffer in self._block.buffers()], self._before)


def _is_dear(operation: Any, args: Sequence[Any]) -> bool:
    """Whether a value that an operation gives is a sum of many products: where the time of a network goes."""
    place = _SECOND_FACTOR.get(operation)
    if place is None:
        return False
    factor = args[place]
    return (factor[0].numel() if operation is _aten.convolution.default else factor.size(-2)) > _CHEAP


@cache
def written(operation: Any) -> tuple[int, ...]:
    """The places of the arguments that an operation changes."""
    arguments = operation._schema.arguments
    return tuple(i for i, argument in enumerate(arguments) if argument.alias_info and argument.alias_info.is_write)
