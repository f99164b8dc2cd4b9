"""Taps: named outputs of the network's modules, recorded during one forward pass, as maps where they hold one."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from mmfer.models.probing.calls import last_of_each_size, main_calls
from mmfer.models.probing.feature_maps import Feature, Layout, Size
from mmfer.models.probing.trial import learn_layouts, picture, run_classifier, trial_size, trial_sizes, undisturbed
from mmfer.structures import VOCABULARY
from mmfer.structures.naming import closest


class Tapped(dict[str, Tensor]):
    """What `Taps` recorded: maps [N, C, H, W] by name, or tensors that are none, such as vectors [N, D].

    Attributes:
        given: The outputs themselves by name, as the network goes on with them.
    """

    def __init__(self) -> None:
        super().__init__()
        self.given: dict[str, Feature] = {}


class Taps:
    """Records what modules of a network put out; the forward hooks live inside the `with` only.

    What holds a map becomes [N, C, H, W], whether the module gives that, [N, H, W, C] or tokens: see
    :mod:`mmfer.models.probing.feature_maps`.

    Args:
        network: The network, to check the paths at build.
        paths: Tap name to module path, such as ``dict(stage4='backbone.layer4')``.

    Raises:
        ValueError: If the network has no module of that path.
    """

    def __init__(self, network: nn.Module, paths: dict[str, str]):
        modules = dict(network.named_modules())
        for name, path in paths.items():
            if path not in modules:
                near = closest(path, modules, alike=0.0)
                raise ValueError(
                    f'tap "{name}": the network has no module "{path}"; the nearest is "{near}"{_stages(network, near)}'
                )
        self.paths = dict(paths)
        self.places = {name: f'taps.{name}' for name in paths}
        """Where each stands in the config, for messages."""
        self._layouts: dict[str, Layout] = {}

    def learn(self, model: nn.Module) -> None:
        """Sees, in a trial run of the classifier, how the tapped modules hold their maps."""
        layouts = learn_layouts(model, list(self.paths.values()), run_classifier(model), trial_sizes(model))
        self._layouts = {name: layouts[path] for name, path in self.paths.items() if path in layouts}

    def width(self, model: nn.Module, name: str) -> int:
        """How many channels a tap's map, or features its vector, has, as a trial run of the classifier shows.

        Raises:
            ValueError: The classifier takes no trial, or the tapped module does not run in one.
        """
        size = trial_size(model)
        outputs: dict[str, Any] = {}
        if size is not None:
            with undisturbed(model), torch.no_grad(), self.record(model, size) as outputs:
                run_classifier(model)(picture(model, size))
        if name not in outputs:
            raise ValueError(
                f'the tap "{name}" ({self.paths[name]}) does not run in a trial, which would show how wide it is'
            )
        return outputs[name].size(1)

    @contextmanager
    def record(self, network: nn.Module, image_size: Size | None = None) -> Iterator[Tapped]:
        """Yields a dictionary that fills with the tapped outputs while the network runs.

        Where a module gives several tensors (mmpretrain's backbones and necks do), the last one counts.

        Args:
            network: The network, or a copy of it.
            image_size: (H, W) of what it will be shown, whose shape tokens share. Defaults to None: square.
        """
        outputs = Tapped()

        def keep(name: str) -> Callable[[nn.Module, Any, Any], None]:
            def hook(_module: nn.Module, _inputs: Any, output: Any) -> None:
                try:
                    feature = Feature(output, image_size, self._layouts.get(name))
                except TypeError as error:
                    raise ValueError(f'tap "{name}" ({self.paths[name]}) gives {error}: tap another module') from None
                outputs.given[name], outputs[name] = feature, feature.as_map()

            return hook

        handles = [network.get_submodule(path).register_forward_hook(keep(name)) for name, path in self.paths.items()]
        try:
            yield outputs
        finally:
            for handle in handles:
                handle.remove()

    def require(self, outputs: Mapping[str, Tensor], training: bool) -> None:
        """Raises RuntimeError if a tapped module has not run; SCN's importance, say, exists in training only."""
        for name in self.paths.keys() - outputs:
            cure = '' if training else '; the network is in evaluation mode, call train() first'
            raise RuntimeError(f'tap "{name}": module "{self.paths[name]}" has not run in this forward pass{cure}')


def _stages(model: nn.Module, near: str) -> str:
    """The stages of a classifier's backbone, if the nearest path is no module that it calls."""
    size = trial_size(model) if 'backbone' in dict(model.named_children()) else None
    if size is None:
        return ''
    calls = main_calls(model, size, run_classifier(model), within='backbone')
    stages = {path: cells for path, cells in last_of_each_size(calls, size).items() if cells != (1, 1)}
    if not stages or near in [call.path for call in calls]:
        return ''
    shapes = ', '.join(f'{path} ({rows} x {columns} cells)' for path, (rows, columns) in stages.items())
    return f'; stages of the {type(model.backbone).__name__} are {shapes}'


def merge_taps(cfgs: Mapping[str, Mapping[str, Any]]) -> dict[str, str]:
    """The taps of all methods; two methods may share one.

    Raises:
        ValueError: If two methods mean different modules by one name, or one hides a name of every step.
    """
    paths: dict[str, str] = {}
    for method, cfg in cfgs.items():
        for name, path in (cfg.get('taps') or {}).items():
            if path is None:
                continue
            if name in VOCABULARY:
                raise ValueError(f'the tap "{name}" has the name of something every step knows; choose another')
            if paths.setdefault(name, path) != path:
                raise ValueError(f'supervision.{method}.taps.{name} is {path}, but another method taps {paths[name]}')
    return paths
