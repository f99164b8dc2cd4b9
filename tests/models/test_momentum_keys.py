"""Key encoder and queues of LA-Net."""

from collections import deque

import pytest
import torch
from tiny import CE, classifier, faces, lanet, lanet_classifier, total
from torch.testing import assert_close

from mmfer.models.supervision import Part


def keys_of(model):
    return model.supervision.methods['lanet']['branches']['keys']


def branch_of(model):
    return model.supervision.methods['lanet']['branches']['landmark']


def pairs(model):
    """Every part of the copy beside what it follows."""
    keys = keys_of(model)
    sources = dict(
        backbone=model.backbone,
        neck=model.neck,
        landmark=branch_of(model),
        project_expression=keys.project_expression,
        project_landmark=keys.project_landmark,
    )
    assert set(sources) == set(keys.twin)
    return [(keys.twin[name], source) for name, source in sources.items()]


def weights(modules):
    return torch.cat([p.detach().double().flatten() for module in modules for p in module.parameters()])


def shake(model):
    """A large step of everything that trains."""
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.requires_grad:
                parameter.add_(torch.randn_like(parameter) * 0.1)


def watched(method):
    """A classifier under LA-Net and a loss that writes down what the contrastive loss is given."""
    seen = []

    class Watch(Part):
        def forward(
            self,
            expression_query,
            landmark_query,
            expression_key,
            landmark_key,
            expression_queue,
            landmark_queue,
            pseudo_label,
            queue_label,
        ):
            given = {name: value for name, value in locals().items() if isinstance(value, torch.Tensor)}
            seen.append({name: value.detach().clone() for name, value in given.items()})
            return expression_query.sum() * 0

    method['losses']['watch'] = dict(type=Watch)
    model = classifier(dict(cls=CE, lanet=method))
    model.supervision.bank.allocate(torch.arange(20) % 3, 3)
    return model, seen


# --- the copy ---


def test_the_first_step_starts_from_the_weights_that_are_there_then():
    """`load_from` and `pretrained` come after the model was built."""
    model = lanet_classifier()
    shake(model)
    inputs, _ = faces()
    keys_of(model).begin(model, inputs)
    for twin, source in pairs(model):
        for (name, mine), theirs in zip(twin.named_parameters(), source.parameters(), strict=True):
            assert_close(mine, theirs, rtol=0, atol=0, msg=name)


def test_every_later_step_moves_it_by_the_momentum():
    model = lanet_classifier(momentum=0.75)
    keys, (inputs, _) = keys_of(model), faces()
    history = []
    for _ in range(4):
        shake(model)
        history.append(weights([source for _, source in pairs(model)]))
        keys.begin(model, inputs)
    expected = 0.75**3 * history[0] + 0.25 * (0.75**2 * history[1] + 0.75 * history[2] + history[3])
    assert_close(weights([twin for twin, _ in pairs(model)]), expected, rtol=0, atol=1e-6)


def test_it_takes_over_buffers_whole():
    model = lanet_classifier().train()
    inputs, _ = faces()
    for _ in range(2):
        model.extract_feat(inputs + 3)  # moves the statistics
        branch_of(model)(torch.randn(4, 8, 8, 8))
        model.eval()  # so that the copy's own pass does not move what is compared
        keys_of(model).begin(model, inputs)
        model.train()
        for twin, source in pairs(model):
            for mine, theirs in zip(twin.buffers(), source.buffers(), strict=True):
                assert_close(mine, theirs, rtol=0, atol=0)


def test_its_pass_leaves_the_networks_statistics_alone():
    model = lanet_classifier().train()
    trained = [model.backbone, branch_of(model)]
    before = [buffer.clone() for module in trained for buffer in module.buffers()]
    keys_of(model).begin(model, faces()[0])
    after = [buffer for module in trained for buffer in module.buffers()]
    assert len(after) > 50
    for old, new in zip(before, after, strict=True):
        assert_close(new, old, rtol=0, atol=0)
    assert keys_of(model).twin['backbone'].training  # batch statistics, as the network's


def test_a_resumed_run_goes_on_moving():
    model = lanet_classifier()
    keys_of(model).begin(model, faces()[0])
    state = {key: value.clone() for key, value in model.state_dict().items()}
    resumed = lanet_classifier(seed=3)
    resumed.load_state_dict(state)
    before = weights([twin for twin, _ in pairs(resumed)])
    shake(resumed)
    keys_of(resumed).begin(resumed, faces()[0])
    moved = weights([twin for twin, _ in pairs(resumed)])
    assert_close(moved, 0.9 * before + 0.1 * weights([source for _, source in pairs(resumed)]), rtol=0, atol=1e-6)


@pytest.mark.parametrize('size', [32, (70, 90)])
def test_keys_are_what_the_network_itself_would_give(size):
    model, seen = watched(lanet())
    inputs, batch = faces(size=size)
    model.eval().loss(inputs, batch)  # at the first step the copy equals the network
    for space in ('expression', 'landmark'):
        key = seen[0][f'{space}_key']
        assert_close(key, seen[0][f'{space}_query'], rtol=1e-5, atol=1e-6)
        assert_close(key.norm(dim=1), torch.ones(6))
    assert (seen[0]['expression_key'] - seen[0]['landmark_key']).abs().max() > 0.1


def test_it_learns_by_following_only():
    model = lanet_classifier().train()
    keys, (inputs, batch) = keys_of(model), faces()
    assert not any(parameter.requires_grad for parameter in keys.twin.parameters())
    model.loss(inputs, batch)
    model.supervision.commit()
    losses = model.loss(inputs, batch)  # now with negatives
    early = keys.begin(model, inputs)
    assert not any(value.requires_grad for value in early.values())
    total(losses).backward()
    assert all(parameter.grad is None for parameter in keys.twin.parameters())
    for projector in (keys.project_expression, keys.project_landmark):
        assert all(parameter.grad.abs().max() > 0 for parameter in projector.parameters())


# --- queues ---


def fill(keys, batches, dim=8):
    """Puts batches of given sizes into the queues and into one that Python keeps."""
    kept, number = deque(maxlen=keys.queue_size), 0
    for size in batches:
        rows = torch.arange(number, number + size, dtype=torch.float32)
        number += size
        expression = rows[:, None].expand(-1, dim).contiguous()
        keys.finish(expression, -expression, rows.long() % 5)
        kept.extend(int(row) for row in rows)
    return kept


@pytest.mark.parametrize('queue_size', [1, 4, 7, 16])
def test_queues_keep_the_newest_keys_whatever_the_sizes(queue_size):
    keys = keys_of(lanet_classifier(queue_size=queue_size))
    empty = {key: value.clone() for key, value in keys.state_dict().items()}
    for batches in ([3], [4, 4], [3, 3, 3], [5, 2, 6, 1], [9], [2, 20, 3], [16, 16], [7, 7, 7], [50]):
        keys.load_state_dict(empty)
        kept = fill(keys, batches)
        filled = keys.queue_label >= 0
        assert int(filled.sum()) == len(kept) == min(queue_size, sum(batches))
        assert sorted(keys.expression_queue[filled][:, 0].int().tolist()) == sorted(kept)
        assert_close(keys.landmark_queue, -keys.expression_queue, rtol=0, atol=0)
        assert_close(keys.queue_label[filled], keys.expression_queue[filled][:, 0].long() % 5, rtol=0, atol=0)
        assert (keys.queue_label[~filled] == -1).all()
        assert (keys.expression_queue[~filled] == 0).all()
        assert 0 <= int(keys.position) < queue_size


def test_a_new_queue_is_empty_and_goes_through_a_checkpoint():
    model, other = lanet_classifier(queue_size=5), lanet_classifier(queue_size=5, seed=1)
    keys = keys_of(model)
    assert keys.queue_label.tolist() == [-1] * 5
    fill(keys, [3, 4])
    other.load_state_dict(model.state_dict())
    for each in (model, other):
        keys_of(each).finish(torch.ones(1, 8), torch.ones(1, 8), torch.tensor([9]))
    assert_close(keys_of(other).expression_queue, keys.expression_queue, rtol=0, atol=0)
    assert keys_of(other).queue_label.tolist() == keys.queue_label.tolist()


def test_a_step_sees_the_queues_as_they_stood_before_it_and_writes_them_afterwards():
    model, seen = watched(lanet(queue_size=9))
    keys = keys_of(model.train())
    kept = []
    for step in range(3):
        inputs, batch = faces(4, seed=step, sample_idx=[step * 4 + row for row in range(4)])
        losses = model.loss(inputs, batch)
        assert int((keys.queue_label >= 0).sum()) == min(4 * step, 9)
        total(losses).backward()
        arguments = seen[-1]
        model.supervision.commit()
        assert sorted(arguments['queue_label'].tolist()) == sorted((kept[-9:] + [-1] * 9)[:9])
        kept += arguments['pseudo_label'].tolist()
        assert sorted(keys.queue_label.tolist()) == sorted((kept[-9:] + [-1] * 9)[:9])
        rows = {tuple(row) for row in keys.expression_queue.tolist()}
        assert {tuple(row) for row in arguments['expression_key'].tolist()} <= rows
    assert len(seen) == 3


def test_under_autocast_the_queues_stay_in_full_precision():
    model = lanet_classifier().train()
    inputs, batch = faces()
    with torch.autocast('cpu', dtype=torch.bfloat16):
        losses = model.loss(inputs, batch)
    total(losses).backward()
    model.supervision.commit()
    keys = keys_of(model)
    filled = keys.queue_label >= 0
    assert int(filled.sum()) == 6
    assert keys.expression_queue.dtype == torch.float32
    assert_close(keys.expression_queue[filled].norm(dim=1), torch.ones(6), rtol=0, atol=0.02)


# --- mistakes ---


@pytest.mark.parametrize('order', [('keys',), ('keys', 'landmark')])
def test_without_a_landmark_branch_before_it_it_says_what_to_do(order):
    cfg = lanet()
    cfg['branches'] = {name: cfg['branches'][name] for name in order}
    with pytest.raises(ValueError, match='"landmark_embedding", and none before it does: write an'):
        classifier(dict(lanet=cfg))


def test_another_landmark_branch_than_one_that_can_be_copied_is_refused():
    class Other(Part):
        publishes = ('landmark_embedding', 'heatmaps')

        def forward(self, inputs):
            return {'landmark_embedding': inputs.mean((2, 3)), 'heatmaps': inputs}

    cfg = lanet()
    cfg['branches']['landmark'] = dict(type=Other)
    with pytest.raises(ValueError, match='what publishes "landmark_embedding" is Other: let it inherit'):
        classifier(dict(cls=CE, lanet=cfg))


@pytest.mark.parametrize('options', [dict(momentum=1.5), dict(momentum=-0.1)])
def test_a_momentum_beyond_its_range_is_refused(options):
    with pytest.raises(ValueError, match=f'momentum must lie in .0, 1., got {options["momentum"]}'):
        lanet_classifier(**options)


def test_a_queue_without_slots_is_refused():
    with pytest.raises(ValueError, match='queue_size'):
        lanet_classifier(queue_size=0)
