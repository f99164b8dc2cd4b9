import pytest

from mmfer.models.supervision.methods_check import check_methods, check_taps_are_read


def test_a_tap_that_nothing_reads_is_refused_where_one_of_nearly_its_name_is_read():
    with pytest.raises(ValueError, match=r'lanet\.taps\.shaerd: no part reads such a tap; did you mean shared\?'):
        check_taps_are_read('lanet', ['shared', 'shaerd'], ['shared', 'logits'])


def test_a_tap_of_a_part_that_was_taken_out_may_stay():
    check_taps_are_read('pal', ['stage3', 'stage4', 'other'], ['stage4'])


def test_methods_and_parts_that_are_none_are_no_mistakes():
    check_methods(dict(cls=dict(losses=dict(ce=dict(type='X'), ce2=None), taps=None, refiners=None), pal=None))


def test_a_method_that_is_new_may_be_like_none():
    check_methods(dict(cls=dict(losses=dict(ce=dict(type='X'))), clss=dict(losses=dict(ce=dict(type='X')))))
