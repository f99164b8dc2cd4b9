"""Configs of mmfer as the base of others."""

from __future__ import annotations

from mmengine.config import Config

from mmfer.shipped import PREFIX, find_config, require_python


# Symptom: `_base_ = 'mmfer::lanet/r18_rafdb.py'` stops with `mmengine does not support to load mmfer config`: only
# OpenMMLab's own packages are on its list. No thread upstream. Delete when other packages can be.
def find_shipped_configs() -> None:
    """Lets `_base_ = 'mmfer::...'` find the configs that come with mmfer; every base must be Python."""
    theirs = Config._get_cfg_path
    if theirs.__module__ == __name__:
        return

    def get_cfg_path(cfg_path: str, filename: str) -> tuple[str, str | None]:
        require_python(cfg_path, f', which {filename} builds on,')
        if not cfg_path.startswith(PREFIX):
            return theirs(cfg_path, filename)
        found = find_config(cfg_path)
        if not found.is_file():
            raise FileNotFoundError(f'{filename} builds on {cfg_path}, which mmfer lacks; `mmfer configs` lists all')
        return str(found), None

    Config._get_cfg_path = staticmethod(get_cfg_path)
