"""FERMetric as mmengine drives it: through an Evaluator, with padding, over two ranks."""

import subprocess
import sys

import numpy as np
import pytest
import torch
from mmengine.evaluator import Evaluator
from mmpretrain.structures import DataSample
from sklearn.metrics import balanced_accuracy_score, f1_score, log_loss

from mmfer.evaluation import FERMetric, fer_metric
from mmfer.registry import METRICS

CLASSES = ('happiness', 'anger', 'fear')


def sample(label: int, score: list[float], index: int = 0) -> DataSample:
    made = DataSample(metainfo=dict(sample_idx=index, img_path=f'{index}.jpg'))
    return made.set_gt_label(label).set_pred_score(torch.tensor(score))


def evaluate(samples, size=None, classes=CLASSES):
    evaluator = Evaluator(FERMetric())
    evaluator.dataset_meta = dict(classes=classes)
    for start in range(0, len(samples), 4):
        evaluator.process(samples[start : start + 4])
    return evaluator.evaluate(size or len(samples)), evaluator.metrics[0]


def random_samples(count=60):
    rng = np.random.default_rng(0)
    labels, scores = rng.integers(0, 3, count), rng.dirichlet(np.ones(3), count)
    return labels, scores, [sample(int(y), p.tolist(), i) for i, (y, p) in enumerate(zip(labels, scores, strict=True))]


def test_figures_equal_scikit_learn_under_their_plain_names():
    labels, scores, samples = random_samples()
    figures, metric = evaluate(samples)
    predicted = scores.argmax(1)
    assert list(figures) == [
        'accuracy',
        'mean_class_accuracy',
        'macro_f1',
        'recall/happiness',
        'recall/anger',
        'recall/fear',
        'calibration_error',
        'nll',
    ]
    assert figures['accuracy'] == pytest.approx(100 * (predicted == labels).mean())
    assert figures['mean_class_accuracy'] == pytest.approx(100 * balanced_accuracy_score(labels, predicted))
    assert figures['macro_f1'] == pytest.approx(100 * f1_score(labels, predicted, average='macro'))
    assert figures['nll'] == pytest.approx(log_loss(labels, scores), rel=1e-5)
    assert metric.confusion.sum() == 60


def test_the_likelihood_is_that_of_the_votes_where_there_are_any():
    samples = [sample(0, [0.5, 0.25, 0.25], i).set_gt_score(torch.tensor([0.5, 0.5, 0.0])) for i in range(2)]
    figures, _ = evaluate(samples)
    assert figures['nll'] == pytest.approx((np.log(2) + np.log(4)) / 2)
    assert figures['calibration_error'] == pytest.approx(50)
    figures, _ = evaluate([*samples, sample(1, [0.5, 0.25, 0.25])])  # one face has no votes: the labels count
    assert figures['nll'] == pytest.approx((2 * np.log(2) + np.log(4)) / 3)


def test_padding_of_the_last_batch_is_not_counted():
    samples = [sample(0, [0.8, 0.1, 0.1], 0), sample(1, [0.8, 0.1, 0.1], 1), sample(0, [0.8, 0.1, 0.1], 0)]
    figures, metric = evaluate(samples, size=2)
    assert figures['accuracy'] == 50
    np.testing.assert_array_equal(metric.confusion, [[1, 0, 0], [1, 0, 0], [0, 0, 0]])


def test_faces_keep_their_row_name_and_probabilities():
    _, metric = evaluate([sample(0, [0.2, 0.7, 0.1], 5), sample(2, [0.1, 0.1, 0.8], 3)])
    first, second = metric.faces
    assert (first.sample_idx, first.img_path, first.label) == (5, '5.jpg', 0)
    np.testing.assert_allclose(second.score, [0.1, 0.1, 0.8], rtol=1e-6)


def test_a_class_without_faces_is_named_once(monkeypatch):
    said = []
    monkeypatch.setattr(fer_metric, 'print_log', lambda sentence, logger: said.append(sentence))
    evaluator = Evaluator(FERMetric())
    evaluator.dataset_meta = dict(classes=CLASSES)
    for _ in range(2):
        evaluator.process([sample(0, [0.8, 0.1, 0.1]), sample(1, [0.1, 0.8, 0.1])])
        figures = evaluator.evaluate(2)
    assert figures['mean_class_accuracy'] == 100
    assert 'recall/fear' not in figures
    assert [sentence.count('labelled fear') for sentence in said] == [1]


def test_each_evaluation_starts_afresh():
    evaluator = Evaluator(FERMetric())
    evaluator.dataset_meta = dict(classes=CLASSES)
    for score, expected in ([0.8, 0.1, 0.1], 100), ([0.1, 0.8, 0.1], 0):
        evaluator.process([sample(0, score)])
        assert evaluator.evaluate(1)['accuracy'] == expected


def test_it_is_registered_and_takes_a_prefix():
    metric = METRICS.build(dict(type='mmfer.FERMetric', prefix='clean'))
    metric.dataset_meta = dict(classes=CLASSES)
    metric.process(None, [sample(0, [0.8, 0.1, 0.1]).to_dict()])
    assert metric.evaluate(1)['clean/accuracy'] == 100


def test_classes_without_names_get_numbers():
    figures, _ = evaluate([sample(1, [0.1, 0.9])], classes=None)
    assert figures['recall/class1'] == 100


@pytest.mark.parametrize(
    ('samples', 'sentence'),
    [
        ([sample(0, [float('nan')] * 3, 7)], r'nan.*for 7\.jpg.*lower optim_wrapper'),
        ([sample(0, [0.5, 0.5], 7)], r'head scores 2 classes but the dataset has 3 .*model\.head\.num_classes=3'),
        ([sample(3, [0.5, 0.4, 0.1], 7)], r'7\.jpg is labelled 3, but there are only 3 classes'),
        ([DataSample(metainfo=dict(img_path='8.jpg')).set_pred_score(torch.rand(3))], r'8\.jpg has no gt_label'),
    ],
)
def test_what_cannot_be_evaluated_is_named(samples, sentence):
    with pytest.raises(ValueError, match=sentence):
        evaluate(samples)


RANK = """
import sys

import numpy as np
import torch
from mmengine.evaluator import Evaluator

from mmfer.evaluation import FERMetric

rank, folder = int(sys.argv[1]), sys.argv[2]
torch.distributed.init_process_group('gloo', init_method=f'file://{folder}/store', rank=rank, world_size=2)
data = torch.load(f'{folder}/data.pt', weights_only=True)
evaluator = Evaluator(FERMetric(collect_dir=f'{folder}/parts'))
evaluator.dataset_meta = dict(classes=data['classes'])
rows = [i % 61 for i in range(rank, 62, 2)]  # 61 is odd: the sampler pads the second rank with face 0
evaluator.process([dict(sample_idx=i, gt_label=data['label'][i], pred_score=data['score'][i]) for i in rows])
figures = evaluator.evaluate(61)
seen = [face.sample_idx for face in evaluator.metrics[0].faces]
torch.save(dict(figures=figures, seen=seen), f'{folder}/{rank}.pt')
torch.distributed.destroy_process_group()
"""


def test_two_ranks_report_what_one_does(tmp_path):
    labels, scores, samples = random_samples(61)
    data = dict(label=torch.from_numpy(labels), score=torch.from_numpy(scores), classes=CLASSES)
    torch.save(data, tmp_path / 'data.pt')
    ranks = [subprocess.Popen([sys.executable, '-c', RANK, str(rank), str(tmp_path)]) for rank in (0, 1)]
    assert [rank.wait(timeout=120) for rank in ranks] == [0, 0]
    expected, _ = evaluate(samples)
    first, second = (torch.load(tmp_path / f'{rank}.pt', weights_only=True) for rank in (0, 1))
    assert first['figures'] == second['figures'] == expected
    assert first['seen'] == list(range(61))
