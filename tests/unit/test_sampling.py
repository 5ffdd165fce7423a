"""Standard errors of a difference under paired and independent sampling."""

import numpy as np
import pytest
from made_episodes import ends, made_episodes, right

from trim.config.experiment import Bootstrap
from trim.evaluation.sampling import COLUMNS, OTHER, SAME, UNPAIRED, sampling, standard_errors

SETTINGS = Bootstrap(resamples=100)
RANDOM = np.random.default_rng(3)


def test_standard_errors_are_those_of_the_differences() -> None:
    ours, theirs = RANDOM.random((2, 30)), RANDOM.random((2, 30))
    errors = standard_errors(ours, theirs, np.ones((1, 30)))
    same = [np.var(ours[i] - theirs[i]) for i in (0, 1)]
    other = [np.var(ours[i] - theirs[1 - i]) for i in (0, 1)]
    apart = np.var(ours, axis=1).mean() + np.var(theirs, axis=1).mean()
    assert errors[SAME][0] == pytest.approx(np.sqrt(np.mean(same) / 30))
    assert errors[OTHER][0] == pytest.approx(np.sqrt(np.mean(other) / 30))
    assert errors[UNPAIRED][0] == pytest.approx(np.sqrt(apart / 30))


def test_what_the_same_samples_decide_cancels() -> None:
    luck = RANDOM.random((2, 400))
    difficulty = RANDOM.random(400)
    easier, harder = ((luck < chance * difficulty).astype(float) for chance in (0.9, 0.8))
    errors = standard_errors(easier, harder, np.ones((1, 400)))
    assert errors[SAME][0] < errors[OTHER][0] < errors[UNPAIRED][0]


def test_the_table_compares_at_matched_shares() -> None:
    calls = np.stack([4 * right(20), 4 * right(20)])  # 80 of 400 strong calls: a share of 20 %
    outcomes = np.stack([right(25), right(28)])
    routers = {
        ("arith", "trim-thr", "default", 0.5): (np.stack([right(20), right(24)]), calls),
        ("arith", "trim-pomdp", "default", 1.0): (outcomes, calls),
    }
    both = {key: (np.stack([c, c]), np.stack([n, n])) for key, (c, n) in ends().items()} | routers
    table = sampling(made_episodes(both), SETTINGS, 7)
    assert list(table) == COLUMNS
    assert table["sampling"].tolist() == [SAME, OTHER, UNPAIRED]
    assert set(table["wanted_share"]) == {0.2}
    np.testing.assert_allclose(table["strong_share"], 0.2)
    assert table["problems_factor"].iloc[0] == 1
    np.testing.assert_allclose(
        table["problems_factor"], (table["standard_error"] / table["standard_error"].iloc[0]) ** 2
    )
    single = made_episodes({key: (c[0], n[0]) for key, (c, n) in both.items()})
    assert sampling(single, SETTINGS, 7).empty
    assert list(sampling(single, SETTINGS, 7)) == COLUMNS
