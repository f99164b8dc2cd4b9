"""The lines of methods at the start of a run; the whole of it is looked at in tests/e2e/test_terminal.py."""

from mmfer.engine.run_summary import _methods


def test_what_was_taken_out_is_not_told():
    part = dict(type='mmfer.CrossEntropyLoss')
    methods = dict(
        cls=dict(losses=dict(ce=part)),
        gone=None,
        empty=dict(losses=dict(island=None)),
        half=dict(branches=dict(keys=None), losses=dict(kl=part | dict(loss_weight=0.5), contrast=None)),
    )
    assert [*_methods(methods)] == ['cls: losses ce', 'half: losses kl (weight 0.5)']
