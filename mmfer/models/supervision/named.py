"""A container of modules by name."""

from collections.abc import Iterator, Mapping

from torch import nn


class Named(nn.Module):
    """Modules by name, as `nn.ModuleDict`, which refuses names such as "keys" that are its own methods."""

    def __init__(self, modules: Mapping[str, nn.Module] | None = None):
        super().__init__()
        self._modules.update(modules or {})

    def __setitem__(self, name: str, module: nn.Module) -> None:
        self._modules[name] = module

    def __getitem__(self, name: str) -> nn.Module:
        return self._modules[name]

    def values(self) -> Iterator[nn.Module]:
        """The modules, in the order of the config."""
        return iter(self._modules.values())
