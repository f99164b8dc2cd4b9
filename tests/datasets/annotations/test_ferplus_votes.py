import numpy as np
import pytest

from mmfer.datasets.annotations.ferplus_votes import READINGS, cross_entropy, distribution, majority

#      neutral happiness surprise sadness anger disgust fear contempt unknown NF
CASES = [
    # Hand-worked: votes, then what each reading gives, None where the face is left out.
    ('clear', [9, 0, 0, 0, 1, 0, 0, 0, 0, 0], {0: 1.0}, {0: 1.0}, {0: 1.0}),
    # The outlier is out before shares are taken: 6 of 9 and 3 of 9.
    ('outlier', [6, 1, 0, 3, 0, 0, 0, 0, 0, 0], {0: 1.0}, {0: 2 / 3, 3: 1 / 3}, {0: 2 / 3, 3: 1 / 3}),
    # Exactly half is no majority.
    ('half', [5, 0, 0, 5, 0, 0, 0, 0, 0, 0], None, {0: 0.5, 3: 0.5}, {0: 0.5, 3: 0.5}),
    ('unknown wins', [2, 0, 0, 0, 0, 0, 0, 2, 6, 0], None, None, None),
    ('no face wins', [0, 0, 0, 0, 0, 0, 0, 0, 0, 10], None, None, None),
    # Neutral first (4), then unknown (3) ends it: 4 of 9 votes is no more than half.
    ('unknown second', [4, 0, 0, 2, 0, 0, 0, 0, 3, 0], None, {0: 2 / 3, 3: 1 / 3}, None),
    # Neutral (5 of 9, less than 3/4), then unknown ends it: 5 of 9 is more than half, sadness is not reached.
    ('unknown ends it', [5, 0, 0, 2, 0, 0, 0, 0, 2, 0], {0: 1.0}, {0: 5 / 7, 3: 2 / 7}, {0: 5 / 7, 3: 2 / 7}),
    # 3/4 are reached with the first: the second is not taken.
    ('three quarters', [8, 0, 0, 2, 0, 0, 0, 0, 0, 0], {0: 1.0}, {0: 0.8, 3: 0.2}, {0: 1.0}),
    # Two each for five: all are taken together, more than three.
    ('too many', [2, 2, 2, 2, 2, 0, 0, 0, 0, 0], None, dict.fromkeys(range(5), 0.2), None),
    ('singles only', [1, 1, 1, 1, 1, 1, 1, 1, 1, 1], None, None, None),
]


@pytest.mark.parametrize(('votes', 'expected'), [(case[1], case[2:]) for case in CASES], ids=[c[0] for c in CASES])
def test_hand_worked(votes, expected):
    for read, shares in zip((majority, distribution, cross_entropy), expected, strict=True):
        wanted = np.zeros(8)
        wanted[list(shares or ())] = list((shares or {}).values())
        np.testing.assert_allclose(read(np.array([votes]))[0], wanted, rtol=1e-6, err_msg=read.__name__)


def published(votes, kind):
    """A face at a time, by the words of the published code: a list of ten shares, or 'unknown'."""
    left = [v if v >= 2 else 0 for v in votes]
    total = sum(left)
    if kind == 'majority':
        best = max(left)
        return left.index(best) if best > 0.5 * total else 'unknown'
    chosen, reached, number, may = {}, 0, 0, True
    while reached < 0.75 * total and number < 3 and may:
        best = max(left)
        for i in range(10):
            if left[i] == best:
                chosen[i], left[i] = best, 0
                reached, number = reached + best, number + 1
                if i >= 8:
                    may = False
                    if sum(chosen.values()) > best:
                        del chosen[i]
                        number -= 1
                    break
    if sum(chosen.values()) <= 0.5 * total or number > 3 or any(i >= 8 for i in chosen):
        return 'unknown'
    return chosen


def test_random_votes_are_read_as_published():
    random = np.random.default_rng(0)
    votes = np.array(
        [
            random.multinomial(10, random.dirichlet(np.full(10, concentration)))
            for concentration in (0.1, 0.3, 1, 3)
            for _ in range(1500)
        ]
    )
    one, shares = majority(votes), cross_entropy(votes)
    kept = 0
    for row, face in enumerate(votes.tolist()):
        winner = published(face, 'majority')
        wanted = np.zeros(8) if winner == 'unknown' or winner >= 8 else np.eye(8)[winner]
        assert np.array_equal(one[row], wanted), face
        chosen = published(face, 'cross_entropy')
        wanted = np.zeros(8)
        if chosen != 'unknown':
            wanted[list(chosen)] = np.array(list(chosen.values())) / sum(chosen.values())
            kept += 1
        np.testing.assert_allclose(shares[row], wanted, rtol=1e-6, err_msg=str(face))
    assert 1000 < kept < 5000


def test_no_faces():
    for read in READINGS.values():
        assert read(np.zeros((0, 10), dtype=int)).shape == (0, 8)
