"""Compiles what can be compiled of the network that is trained."""

from __future__ import annotations

from typing import Any

import torch
from mmengine.hooks import Hook
from mmengine.runner import Runner

from mmfer.models.compilation import compile_in_place
from mmfer.registry import HOOKS

CUDA_GRAPHS = ('reduce-overhead', 'max-autotune')
"""Modes that replay a step's launches from recordings."""


@HOOKS.register_module()
class CompileHook(Hook):
    """Compiles the network's modules in place when training begins, each for itself; evaluation runs as it ever did.

    Names and values of weights stay what they are: checkpoints of compiled and other runs are the same, and a copy of
    a compiled module is an uncompiled one. See :func:`mmfer.models.compilation.regions` for which modules.

    Args:
        backend: As of `torch.compile`, and so are the others.
        mode: Such as ``'max-autotune-no-cudagraphs'``.
        dynamic: Whether one kernel is made for batches of all sizes.
        fullgraph: Whether modules that cannot be compiled in one piece are an error.
        options: Of the backend.
    """

    def __init__(
        self,
        backend: str = 'inductor',
        mode: str | None = None,
        dynamic: bool | None = None,
        fullgraph: bool = False,
        options: dict[str, Any] | None = None,
    ):
        self.settings = dict(backend=backend, mode=mode, dynamic=dynamic, fullgraph=fullgraph, options=options)

    def before_train(self, runner: Runner) -> None:
        """Compiles; kernels are made when the first step needs them.

        Raises:
            ValueError: The model cannot be compiled.
        """
        found = compile_in_place(runner.model, **self.settings)
        runner.logger.info(
            f'compile: {self.settings["backend"]} makes kernels for {", ".join(found)}; the first steps take minutes'
        )

    def before_train_iter(self, runner: Runner, batch_idx: int, data_batch: Any = None) -> None:
        """Tells recordings of launches that what the last step gave is not needed any more."""
        if self.settings['mode'] in CUDA_GRAPHS:
            torch.compiler.cudagraph_mark_step_begin()

    def before_val(self, runner: Runner) -> None:
        """Evaluates as `tools/test.py` does, and makes no kernels for the last batch and its size."""
        torch.compiler.set_stance('force_eager')

    def after_val(self, runner: Runner) -> None:
        """Back to training."""
        torch.compiler.set_stance('default')
