from mmfer.structures.naming import closest, did_you_mean


def test_the_nearest_name_is_named():
    assert did_you_mean('contarst', ['heatmap', 'kl', 'contrast']) == '; did you mean contrast?'
    assert did_you_mean('contarst', {'contrast': 1}, quote='"') == '; did you mean "contrast"?'


def test_of_far_names_none_is_named_unless_asked_for():
    assert did_you_mean('x', ['heatmap', 'kl']) == ''
    assert closest('x', ['heatmap', 'kl']) is None
    assert closest('backbone.layr1', ['backbone.layer1', 'head'], alike=0.0) == 'backbone.layer1'
