"""A trial run of a network when it is built: what its modules put out is seen, not looked up by name."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any

import torch
from torch import Tensor, nn

from mmfer.models.probing.feature_maps import Feature, Layout, Size

USUAL_SIZES: tuple[Size, ...] = ((64, 64), (224, 224))
"""Of the trial where nothing tells the size of a network's images: some networks take the smaller, some the larger."""


@contextmanager
def undisturbed(network: nn.Module) -> Iterator[None]:
    """Runs a network in evaluation mode; afterwards its modules are in the modes that they were in.

    Warnings of theirs about the evaluation, which are given once, are kept for the run.
    """
    modes = [(module, module.training) for module in network.modules()]
    unwarned = [module for module in network.modules() if getattr(module, '_warned', None) is False]
    network.eval()
    for module in unwarned:
        module._warned = True
    try:
        yield
    finally:
        for module in unwarned:
            module._warned = False
        for module, training in modes:
            module.training = training


def known_size(model: nn.Module) -> Size | None:
    """(H, W) of the images that the network will see, if its preprocessor makes them all alike."""
    size = getattr(getattr(model, 'data_preprocessor', None), 'size', None)
    if isinstance(size, int):
        return size, size
    return (int(size[0]), int(size[1])) if isinstance(size, tuple | list) and len(size) == 2 else None


def trial_sizes(model: nn.Module) -> tuple[Size, ...]:
    """Sizes to try in turn."""
    size = known_size(model)
    return USUAL_SIZES if size is None else (size,)


def backbone_size(model: nn.Module) -> Size:
    """(H, W) of images that a classifier's backbone takes: those that it will see, where that is known.

    Raises:
        ValueError: It takes none of the usual sizes.
    """
    errors = []
    for size in trial_sizes(model):
        error = refusal(model.backbone, size)
        if error is None:
            return size
        errors.append(error)
    size = known_size(model)
    asked = '64 or 224' if size is None else ' x '.join(map(str, size))
    raise ValueError(
        f'{type(model.backbone).__name__} does not run on images of {asked} px ({first_line(errors[0])}): set '
        'data_preprocessor.size to one that it takes'
    )


@torch.no_grad()
def trial_size(model: nn.Module) -> Size | None:
    """(H, W) of images that a classifier takes; None where it takes none here, as networks that need a GPU."""
    for size in trial_sizes(model):
        with suppress(Exception), undisturbed(model):
            run_classifier(model)(picture(model, size))
            return size
    return None


@torch.no_grad()
def refusal(backbone: nn.Module, size: Size) -> Exception | None:
    """Why a backbone does not run on images of a size; None where it does."""
    try:
        with undisturbed(backbone):
            backbone(picture(backbone, size))
    except Exception as error:
        return error
    return None


def picture(network: nn.Module, size: Size, uniform: bool = False, channels: int = 3) -> Tensor:
    """Two pictures of noise [2, channels, *size], the same always; the run's random numbers are left alone."""
    parameter = next(network.parameters(), torch.empty(0))
    generator = torch.Generator('cpu').manual_seed(0)
    drawn = torch.randn(2, channels, *((1, 1) if uniform else size), generator=generator, device='cpu')
    images = drawn.expand(2, channels, *size)
    return images.to(parameter.device, parameter.dtype).contiguous()


def run_classifier(model: nn.Module) -> Callable[[Tensor], Any]:
    """What a classifier runs for a prediction, and also where it has no head or is none of mmpretrain's."""

    def run(images: Tensor) -> Any:
        features = model.extract_feat(images)
        return features if getattr(model, 'head', None) is None else model.head(features)

    return run


@torch.no_grad()
def learn_layouts(
    network: nn.Module, paths: Sequence[str], run: Callable[[Tensor], Any], sizes: Sequence[Size]
) -> dict[str, Layout]:
    """How the outputs of modules hold their maps, as far as a trial run tells.

    Where height, width and channels are as many, shapes do not tell which is which: then a picture of one colour does,
    of which a map differs between channels, and hardly between cells.

    Args:
        network: What has the modules.
        paths: Theirs.
        run: Runs the network.
        sizes: (H, W) to try in turn.

    Returns:
        Layout by path; modules that do not run or that give no map are left out.
    """

    def features(size: Size, uniform: bool = False) -> dict[str, Feature]:
        with undisturbed(network), recorded(network, paths) as outputs:
            run(picture(network, size, uniform))
        return {path: Feature(output, size) for path, output in outputs.items()}

    for size in sizes if paths else ():
        found: dict[str, Feature] | None = None
        with suppress(Exception):
            found = features(size)
        if found is None:
            continue
        layouts = {path: feature.layout for path, feature in found.items() if feature.layout is not None}
        unsure = [path for path in layouts if not found[path].certain]
        flat = features(size, uniform=True) if unsure else {}
        return layouts | {path: _between_channels(flat[path].tensor, flat[path].candidates) for path in unsure}
    return {}


@contextmanager
def recorded(
    network: nn.Module, paths: Sequence[str], keep: Callable[[Any], Any] = lambda output: output
) -> Iterator[dict[str, Any]]:
    """Yields what modules put out, by path, while the network runs; `keep` may copy what later ones write into."""
    outputs: dict[str, Any] = {}
    handles = [
        network.get_submodule(path).register_forward_hook(
            lambda _module, _inputs, output, path=path: outputs.__setitem__(path, keep(output))
        )
        for path in paths
    ]
    try:
        yield outputs
    finally:
        for handle in handles:
            handle.remove()


def _between_channels(tensor: Tensor, candidates: Sequence[Layout]) -> Layout:
    """How a picture of one colour is held: its map differs least between cells."""
    cells = {'NCHW': (2, 3), 'NHWC': (1, 2), 'tokens': (1,), 'NCL': (2,)}

    def between_cells(layout: Layout) -> float:
        values = tensor[:, layout.extra :]
        return (values - values.mean(cells[layout.kind], keepdim=True)).square().mean().item()

    return min(candidates, key=between_cells)


def first_line(error: Exception) -> str:
    """What an error says, short enough for a sentence."""
    return str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
