"""Settings of mmpretrain's classifier that supervision would pass over are refused, and their cures work."""

import pytest
import torch
from mmengine.registry import DefaultScope
from mmpretrain.structures import DataSample
from models.tiny import CE, classifier, faces, lanet, network
from torch.testing import assert_close

from mmfer.models.supervision import before_run
from mmfer.models.supervision.before_run import check_learns


@pytest.fixture(autouse=True)
def _scope():
    with DefaultScope.overwrite_default_scope('mmpretrain'):
        yield


def build(ce: dict | None = None, supervision: dict | None = None, **head):
    supervision = supervision or dict(cls=dict(losses=dict(ce=ce)) if ce else CE)
    return classifier(supervision, head=network()['head'] | head)


@pytest.mark.parametrize(
    ('head', 'sentence'),
    [
        (
            dict(loss=dict(type='FocalLoss')),
            r"^model.head.loss=\{'type': 'FocalLoss'\} is not used where the model has a supervision: the "
            r'classification term is supervision.cls.losses.ce: set class_weight, label_smoothing or another type '
            r'there, such as model.supervision.cls.losses.ce.label_smoothing=0.1; take it out with '
            r'model.head.loss=None$',
        ),
        (dict(cal_acc=True), 'model.head.cal_acc=True is not used .* take it out with model.head.cal_acc=None$'),
        (dict(topk=(1, 5)), r'model.head.topk=\(1, 5\) is not used .* take it out with model.head.topk=None$'),
        (dict(type='ArcFaceClsHead'), 'ArcFaceClsHead has a loss of its own, .* take LinearClsHead'),
    ],
)
def test_a_setting_of_the_heads_own_loss_is_refused(head, sentence):
    with pytest.raises(ValueError, match=sentence):
        build(**head)


def test_the_cures_build_and_without_supervision_the_heads_loss_is_the_loss():
    build(loss=None, cal_acc=None, topk=None)
    smooth = dict(type='LabelSmoothLoss', label_smooth_val=0.1, mode='original')
    model = classifier(None, head=network()['head'] | dict(loss=smooth))
    inputs, batch = faces(4)
    seen = model.loss(inputs, [sample_of(label) for label in batch.label])['loss']
    logits = model(inputs)
    assert_close(seen, torch.nn.functional.cross_entropy(logits, batch.label, label_smoothing=0.1))


def test_what_was_taken_out_for_training_is_not_there_when_deployed_either():
    inputs, _ = faces(4)
    cured = classifier(None, head=network()['head'] | dict(loss=None, cal_acc=None, topk=None))
    plain = classifier(None, head=network()['head'])
    plain.load_state_dict(cured.state_dict())
    assert_close(cured.eval()(inputs), plain.eval()(inputs))
    assert type(cured.head.loss_module) is type(plain.head.loss_module)


def sample_of(label):
    return DataSample().set_gt_label(label)


def test_a_supervision_without_a_loss_is_refused_and_one_without_scores_is_warned_of(monkeypatch):
    with pytest.raises(ValueError, match=r'^supervision has no loss.*supervision\.cls\.losses\.ce=dict'):
        check_learns(build(supervision=dict(cls=None)).supervision)
    said = []
    monkeypatch.setattr(before_run, 'print_log', lambda text, **_: said.append(text))
    check_learns(build(supervision=dict(cls=CE, lanet=lanet())).supervision)
    assert said == []
    method = lanet()
    method['losses'] = dict(heatmap=method['losses']['heatmap'])
    check_learns(build(supervision=dict(lanet=method)).supervision)
    assert [text.split(':')[0] for text in said] == ['no loss of the supervision reads "logits"']


def test_a_loss_of_mmpretrains_takes_the_place_of_ours():
    with pytest.raises(ValueError, match='no part is registered as "FocalLoss"; did you mean "mmpretrain.FocalLoss"?'):
        build(dict(type='FocalLoss'))
    with pytest.raises(
        ValueError, match=r'needs "pred", which nothing publishes; set inputs=dict\(pred="logits"\); known'
    ):
        build(dict(type='mmpretrain.FocalLoss'))
    model = build(dict(type='mmpretrain.FocalLoss', gamma=2.0, alpha=0.25, inputs=dict(pred='logits')))
    model.supervision.bank.allocate(torch.arange(20) % 3, 3)
    inputs, batch = faces(4)
    model.eval()
    seen = model.loss(inputs, batch)['cls.ce_loss']
    p, y = model(inputs).sigmoid(), torch.nn.functional.one_hot(batch.label, 3)
    right = torch.where(y == 1, p, 1 - p)
    share = torch.where(y == 1, 0.25, 0.75)
    assert_close(seen, (-share * (1 - right) ** 2 * right.log()).mean())


def test_mmpretrains_label_is_not_taken_for_the_target():
    smooth = dict(type='mmpretrain.LabelSmoothLoss', label_smooth_val=0.1)
    with pytest.raises(ValueError, match=r'would read the observed label.*inputs=dict\(label="target"\)'):
        build(dict(**smooth, inputs=dict(cls_score='logits')))
    build(dict(**smooth, inputs=dict(cls_score='logits', label='target')))


def test_class_weights_of_another_number_of_classes_are_refused():
    ours = dict(type='mmfer.CrossEntropyLoss')
    with pytest.raises(ValueError, match=r'class_weight has 2 numbers, but model.head.num_classes is 3'):
        build(dict(**ours, class_weight=[1.0, 2.0]))
    build(dict(**ours, class_weight=[1.0, 2.0, 3.0]))
