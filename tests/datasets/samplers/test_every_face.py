"""EveryFaceSampler: MMEngine's order, without its list."""

import pytest
from mmengine.dataset import DefaultSampler

from mmfer.datasets.samplers import EveryFaceSampler


@pytest.mark.parametrize('faces', [1, 7, 250_001])
@pytest.mark.parametrize('settings', [dict(shuffle=True), dict(shuffle=False), dict(shuffle=True, round_up=False)])
def test_it_draws_as_mmengines_does(monkeypatch, faces, settings):
    for world in (1, 2, 3):
        for rank in range(world):
            info = lambda rank=rank, world=world: (rank, world)  # noqa: E731
            monkeypatch.setattr('mmengine.dataset.sampler.get_dist_info', info)
            theirs, ours = (kind(range(faces), seed=5, **settings) for kind in (DefaultSampler, EveryFaceSampler))
            for sampler in (theirs, ours):
                sampler.set_epoch(3)
            drawn = iter(ours)
            assert not isinstance(drawn, type(iter([])))
            assert list(drawn) == list(theirs)
            assert len(ours) == len(theirs)
