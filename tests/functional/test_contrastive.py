"""The expression-landmark contrast against the method page and the [B*B, Q+1] table it avoids."""

import naive
import pytest
import torch
from torch.nn.functional import normalize
from torch.testing import assert_close
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from mmfer.functional import contrastive_terms, queue_contrast

EXACT = {'rtol': 1e-10, 'atol': 1e-12}
SIZES = [(1, 1), (1, 7), (2, 2), (5, 3), (8, 13), (16, 64), (4, 0)]


def double(values, **kwargs):
    return torch.tensor(values, dtype=torch.float64, **kwargs)


def page_rows():
    """Unit rows whose products are the similarities of the method page."""
    query = torch.eye(2, 3, dtype=torch.float64)

    def complete(rows):
        rows = double(rows)
        return torch.cat([rows, (1 - rows.square().sum(dim=1, keepdim=True)).sqrt()], dim=1)

    return query, complete([[0.9, 0.2], [0.1, 0.8]]), complete([[0.5, 0.4], [0.3, 0.6]])


def random_rows(batch, length, dim=6, classes=3, seed=0):
    """Unit rows, few classes (repeated labels), some identities, and a third of the queue empty."""
    generator = torch.Generator().manual_seed(1000 * seed + 31 * batch + length)

    def unit(rows):
        return normalize(torch.randn(rows, dim, generator=generator, dtype=torch.float64), dim=1)

    labels = torch.randint(classes + 2, (batch,), generator=generator)
    queue_labels = torch.randint(classes + 2, (length,), generator=generator)
    queue_labels[torch.rand(length, generator=generator) < 1 / 3] = -1
    return unit(batch), unit(batch), unit(length), labels, queue_labels


# --- the worked example of the method page ---


def test_terms_are_the_matrix_of_the_method_page():
    similarity, queue_similarity = double([[0.9, 0.1], [0.2, 0.8]]), double([[0.5, 0.3], [0.4, 0.6]])
    terms = contrastive_terms(similarity, queue_similarity, torch.tensor([3, 3]), torch.tensor([3, 5]))
    assert_close(terms, double([[0.002476, 2.126928], [4.018150, 0.126928]]), rtol=0, atol=5.1e-7)


@pytest.mark.parametrize(('labels', 'value'), [([3, 3], 1.568620), ([3, 5], 0.010313)])
def test_contrast_is_the_mean_of_the_method_page(labels, value):
    query, keys, queue = page_rows()
    loss = queue_contrast(query, keys, queue, torch.tensor(labels), torch.tensor([3, 5]))
    assert loss.shape == ()
    assert_close(loss.item(), value, rtol=0, atol=5.1e-7)


@pytest.mark.parametrize('queue_labels', [[3, 3], [3, -1], [-1, -1]])
@pytest.mark.parametrize('dtype', [torch.float32, torch.float64])
def test_without_negatives_the_contrast_is_exactly_zero_with_zero_gradient(queue_labels, dtype):
    rows = [row.to(dtype).requires_grad_() for row in page_rows()]
    loss = queue_contrast(*rows, torch.tensor([3, 3]), torch.tensor(queue_labels))
    loss.backward()
    assert loss.item() == 0
    for row in rows:
        gradient = torch.zeros_like(row) if row.grad is None else row.grad
        assert_close(gradient, torch.zeros_like(row), rtol=0, atol=0)


def test_a_row_without_negatives_leaves_the_other_rows_alone():
    query, keys, queue = page_rows()
    labels, queue_labels = torch.tensor([3, 5]), torch.tensor([3, 3])
    query.requires_grad_()
    loss = queue_contrast(query, keys, queue, labels, queue_labels)
    loss.backward()
    assert_close(loss.item(), naive.queue_contrast(query, keys, queue, labels, queue_labels).item(), **EXACT)
    assert query.grad[0].abs().max() == 0  # its own class fills the queue
    assert torch.isfinite(query.grad).all()
    assert query.grad[1].abs().max() > 0


# --- against the table of pairs ---


@pytest.mark.parametrize(('batch', 'length'), SIZES)
def test_terms_equal_the_table_of_all_pairs(batch, length):
    query, keys, queue, labels, queue_labels = random_rows(batch, length)
    arguments = (query @ keys.T, query @ queue.T, labels, queue_labels)
    for temperature in (0.1, 0.7):
        terms = contrastive_terms(*arguments, temperature)
        assert terms.shape == (batch, batch)
        assert_close(terms, naive.contrastive_terms(*arguments, temperature), **EXACT)


@pytest.mark.parametrize(('batch', 'length'), SIZES)
def test_contrast_equals_the_table_of_all_pairs_in_value_and_gradient(batch, length):
    *rows, labels, queue_labels = random_rows(batch, length, seed=1)
    results = []
    for function in (queue_contrast, naive.queue_contrast):
        leaves = [row.clone().requires_grad_() for row in rows]
        loss = function(*leaves, labels, queue_labels)
        results.append((loss, *torch.autograd.grad(loss, leaves[:2], allow_unused=True, materialize_grads=True)))
    for ours, reference in zip(*results, strict=True):
        assert_close(ours, reference, **EXACT)


@pytest.mark.parametrize(('batch', 'length'), SIZES)
def test_contrast_in_single_precision_equals_the_table_in_double(batch, length):
    *rows, labels, queue_labels = random_rows(batch, length, seed=2)
    loss = queue_contrast(*(row.float() for row in rows), labels, queue_labels)
    assert loss.dtype == torch.float32
    assert_close(loss.double(), naive.queue_contrast(*rows, labels, queue_labels), rtol=1e-6, atol=1e-6)


def test_contrast_uses_its_temperature():
    *rows, labels, queue_labels = random_rows(6, 9, seed=3)
    loss = queue_contrast(*rows, labels, queue_labels, temperature=0.5)
    assert_close(loss, naive.queue_contrast(*rows, labels, queue_labels, 0.5), **EXACT)


@pytest.mark.parametrize('queue_label', [0, 4])
def test_contrast_of_all_equal_labels_averages_every_pair(queue_label):
    query, keys, queue, _, _ = random_rows(5, 6, seed=4)
    labels, queue_labels = torch.full((5,), 4), torch.full((6,), queue_label)
    terms = naive.contrastive_terms(query @ keys.T, query @ queue.T, labels, queue_labels)
    loss = queue_contrast(query, keys, queue, labels, queue_labels)
    assert_close(loss, terms.mean(), **EXACT)
    assert (loss.item() == 0) == (queue_label == 4)


def test_contrast_of_all_different_labels_averages_the_diagonal():
    query, keys, queue, _, queue_labels = random_rows(5, 6, seed=5)
    labels = torch.arange(5) + 20
    terms = naive.contrastive_terms(query @ keys.T, query @ queue.T, labels, queue_labels)
    assert_close(queue_contrast(query, keys, queue, labels, queue_labels), terms.diagonal().mean(), **EXACT)


def test_an_empty_slot_is_never_a_negative_whatever_it_holds():
    query, keys, queue, labels, queue_labels = random_rows(6, 9, seed=6)
    empty = queue_labels < 0
    assert empty.any()
    filled = torch.where(empty[:, None], 50 * query[:1], queue)
    expected = queue_contrast(query, keys, queue[~empty], labels, queue_labels[~empty])
    assert_close(queue_contrast(query, keys, queue, labels, queue_labels), expected, **EXACT)
    assert_close(queue_contrast(query, keys, filled, labels, queue_labels), expected, **EXACT)
    terms = contrastive_terms(query @ keys.T, query @ filled.T, labels, queue_labels)
    assert_close(terms, contrastive_terms(query @ keys.T, query @ queue.T, labels, queue_labels), **EXACT)


# --- symmetries and derivatives ---


def test_terms_follow_the_batch_and_ignore_the_order_of_the_queue():
    query, keys, queue, labels, queue_labels = random_rows(7, 10, seed=7)
    similarity, queue_similarity = query @ keys.T, query @ queue.T
    rows = torch.randperm(7, generator=torch.Generator().manual_seed(0))
    slots = torch.randperm(10, generator=torch.Generator().manual_seed(1))
    expected = contrastive_terms(similarity, queue_similarity, labels, queue_labels)[rows][:, rows]
    moved = contrastive_terms(
        similarity[rows][:, rows], queue_similarity[rows][:, slots], labels[rows], queue_labels[slots]
    )
    assert_close(moved, expected, **EXACT)
    contrast = queue_contrast(query[rows], keys[rows], queue[slots], labels[rows], queue_labels[slots])
    assert_close(contrast, queue_contrast(query, keys, queue, labels, queue_labels), **EXACT)


def test_contrast_sees_labels_only_as_equal_or_not():
    *rows, labels, queue_labels = random_rows(6, 8, seed=8)
    names = torch.tensor([40, 7, 0, 12345678901, 3])
    renamed = torch.where(queue_labels < 0, queue_labels, names[queue_labels.clamp(min=0)])
    expected = queue_contrast(*rows, labels, queue_labels)
    assert_close(queue_contrast(*rows, names[labels], renamed), expected, **EXACT)


def test_terms_pass_gradcheck():
    query, keys, queue, labels, queue_labels = random_rows(4, 6, seed=9)
    labels[0], queue_labels[:] = 1, torch.tensor([1, 2, -1, 0, 1, 2])
    leaves = [(query @ keys.T).requires_grad_(), (query @ queue.T).requires_grad_()]
    assert torch.autograd.gradcheck(lambda s, n: contrastive_terms(s, n, labels, queue_labels), leaves)


def test_contrast_passes_gradcheck_in_queries_and_keys():
    query, keys, queue, labels, queue_labels = random_rows(4, 6, dim=3, seed=10)
    leaves = [query.requires_grad_(), keys.requires_grad_()]
    assert torch.autograd.gradcheck(lambda q, k: queue_contrast(q, k, queue, labels, queue_labels), leaves)


# --- range and memory ---


@pytest.mark.parametrize('dtype', [torch.float32, torch.float64])
def test_large_similarities_neither_overflow_nor_lose_their_gradient(dtype):
    similarity = torch.tensor([[5000.0, -5000.0], [0.0, 4000.0]], dtype=dtype, requires_grad=True)
    queue_similarity = torch.tensor([[5000.0, -4000.0], [4000.0, 9.0]], dtype=dtype, requires_grad=True)
    terms = contrastive_terms(similarity, queue_similarity, torch.tensor([0, 1]), torch.tensor([2, 2]))
    log_two = torch.tensor(2.0, dtype=torch.float64).log().item()
    expected = double([[log_two, 100000.0], [40000.0, log_two]])
    assert_close(terms.double(), expected, rtol=1e-6, atol=1e-6)
    terms.sum().backward()
    assert_close(similarity.grad.double(), double([[-5.0, -10.0], [-10.0, -5.0]]), rtol=0, atol=1e-5)
    assert_close(queue_similarity.grad.double(), double([[15.0, 0.0], [15.0, 0.0]]), rtol=0, atol=1e-5)


def test_contrast_of_half_precision_rows_is_finite_and_close():
    *rows, labels, queue_labels = random_rows(6, 12, seed=11)
    leaves = [row.half().requires_grad_() for row in rows]
    loss = queue_contrast(*leaves, labels, queue_labels)
    loss.backward()
    assert_close(loss.double(), naive.queue_contrast(*rows, labels, queue_labels), rtol=2e-2, atol=2e-2)
    assert all(torch.isfinite(leaf.grad).all() for leaf in leaves[:2])


class LargestTensor(TorchDispatchMode):
    """Records the elements of the largest storage that any operation, forward or backward, returned."""

    numel = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        result = func(*args, **(kwargs or {}))
        for leaf in tree_leaves(result):
            if isinstance(leaf, torch.Tensor):
                self.numel = max(self.numel, leaf.untyped_storage().nbytes() // leaf.element_size())
        return result


def largest_tensor(function, rows, labels, queue_labels):
    leaves = [row.clone().requires_grad_() for row in rows]
    with LargestTensor() as largest:
        function(*leaves, labels, queue_labels).backward()
    return largest.numel


def test_contrast_never_builds_the_table_of_all_pairs():
    batch, length, dim = 64, 512, 16
    *rows, labels, queue_labels = random_rows(batch, length, dim, seed=12)
    # The recorder sees the table where it is built...
    table = largest_tensor(
        lambda q, k, n, a, b: naive.contrastive_terms(q @ k.T, q @ n.T, a, b).mean(), rows, labels, queue_labels
    )
    assert table >= batch * batch * (length + 1)
    # ... and ours, backward included, stays at the size of its similarities.
    assert largest_tensor(queue_contrast, rows, labels, queue_labels) <= batch * length + batch * batch + length * dim
