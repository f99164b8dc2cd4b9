"""What MMEngine does with the config that a checkpoint of long ago carries."""

from __future__ import annotations

from typing import Any

from mmengine.runner import runner


# Symptom: resuming from a checkpoint with `meta['config']`, as MMEngine 0.1 wrote it, runs that text as Python, to see
# how many GPUs it names; so whoever wrote the file runs what they like. No thread upstream. Delete when
# `Runner.resume` does not call `Config.fromstring` any more.
def forget_stored_config_text() -> None:
    """Takes `meta['config']` out of what MMEngine's runner loads; `meta['cfg']`, its successor, is not run."""
    theirs = runner._load_checkpoint
    if theirs.__module__ == __name__:
        return

    def load_checkpoint(*args: Any, **kwargs: Any) -> Any:
        checkpoint = theirs(*args, **kwargs)
        meta = checkpoint.get('meta') if isinstance(checkpoint, dict) else None
        if isinstance(meta, dict):
            meta.pop('config', None)
        return checkpoint

    runner._load_checkpoint = load_checkpoint
