"""Numbers of problems that differences need."""

import numpy as np
import pytest
from made_episodes import ends, made_episodes, right
from scipy.stats import norm

from trim.config.experiment import Bootstrap
from trim.evaluation.power import BENCHMARKS, DIFFERENCES, power_note, problems_needed, separation, smallest_difference
from trim.evaluation.study import studies

ROUTERS = {
    ("arith", "trim-thr", "default", 0.5): (right(20), 3 * right(20)),
    ("arith", "trim-pomdp", "default", 1.0): (right(30), 2 * right(30)),
    ("hard", "trim-pomdp", "default", 1.0): (right(30), 2 * right(30)),
}


def test_a_difference_of_that_size_is_found_that_often() -> None:
    # The chance that an estimate around `separation` standard errors lies beyond 1.96 of them.
    assert norm.sf(norm.ppf(0.975) - separation()) == pytest.approx(0.8)
    found = np.random.default_rng(0).normal(separation(0.01, 0.9), size=20_000) > norm.ppf(0.995)
    assert found.mean() == pytest.approx(0.9, abs=0.01)


def test_problems_needed_by_hand() -> None:
    assert problems_needed(1.0, 1 / separation(), 100) == 100
    assert problems_needed(0.5, 1 / separation(), 100) == 400
    assert problems_needed(100.0, 0.1, 100) == 1
    assert smallest_difference(400, 1.0, 100) == pytest.approx(separation() / 2)
    needed = problems_needed(0.25, 0.3, 1000)
    assert smallest_difference(needed, 0.3, 1000) <= 0.25 < smallest_difference(needed - 1, 0.3, 1000)


def test_the_note_extrapolates_from_the_standard_error_here() -> None:
    data = studies(made_episodes(ends() | ROUTERS), Bootstrap(resamples=300), 7)
    table = power_note(data, "arith")
    assert set(table["trained_on"]) == {"arith"}
    assert set(table["measure"]) == set(DIFFERENCES)
    asked, shown = (table[table["asked"] == what] for what in ("problems", "difference"))
    assert len(asked) == sum(len(sizes) for sizes in DIFFERENCES.values())
    assert dict(zip(shown["benchmark"], shown["problems"], strict=True)) == BENCHMARKS
    for row in table.to_dict("records"):
        seen = row["difference"] / (row["standard_error"] * np.sqrt(row["problems_here"] / row["problems"]))
        assert seen >= separation() * (1 - 1e-9)
    accuracy = table[table["measure"] == "accuracy at 20%"].iloc[0]
    assert accuracy["difference_here"] == pytest.approx(10 / 40)
    # Of 40 problems, ten differ: the standard error of such a share.
    assert accuracy["standard_error"] == pytest.approx(np.sqrt(0.25 * 0.75 / 40), rel=0.15)
