"""How mmengine finds the packages that configs name."""

import importlib.util
import sys
from contextlib import suppress
from importlib import metadata
from importlib.machinery import ModuleSpec
from pathlib import Path


# Symptom: `_base_ = 'mmpretrain::...'` and `mmengine.hub` stop with `No module named 'pkg_resources'`; setuptools 82
# took it away. Upstream: https://github.com/open-mmlab/mmengine/pull/1676, merged, in no release.
# Delete at mmengine > 0.10.7.
def find_packages_without_pkg_resources() -> None:
    """Gives mmengine two functions that need no pkg_resources, where it is not there."""
    if importlib.util.find_spec('pkg_resources') is not None:
        return
    for name in ('mmengine.utils.package_utils', 'mmengine.utils', 'mmengine.config.config', 'mmengine.hub.hub'):
        for function in (_is_installed, _get_installed_path):
            if hasattr(sys.modules.get(name), function.__name__[1:]):
                setattr(sys.modules[name], function.__name__[1:], function)


def _find_module(package: str) -> ModuleSpec | None:
    """Finds the module of a distribution, such as mmseg of mmsegmentation, or a module that is only on the path."""
    with suppress(metadata.PackageNotFoundError):
        package = (metadata.distribution(package).read_text('top_level.txt') or package).split()[0]
    return importlib.util.find_spec(package.replace('-', '_'))


def _is_installed(package: str) -> bool:
    return _find_module(package) is not None


def _get_installed_path(package: str) -> str:
    spec = _find_module(package)
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError(f'{package} is not installed: pip install {package}')
    return str(Path(spec.origin).parent)
