"""Training runs that worked, and each way in which one can fail."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from made_episodes import ends, made_episodes, right

from trim.config.experiment import Bootstrap
from trim.evaluation.study import CURVE, Study, measure, studies
from trim.evaluation.training import failures, read_looks, training

KEY = ("arith", "trim-agg", "default", 0)
# A threshold that solves 30 of 40 problems with two calls a problem, of the strong model's ten.
THRESHOLD = {("arith", "trim-thr", "default", 0.5): (right(30), np.full(40, 2))}
GOOD = {0.5: (30, 2), 1.0: (20, 1), 2.0: (12, 0.1)}


def dev(points: dict[float, tuple[int, float]]) -> dict[str, Study]:
    """Solve so many problems with so many calls a problem, at each kappa."""
    made = {
        ("arith", "trim-agg", "default", kappa): (right(solved), np.full(40, calls))
        for kappa, (solved, calls) in points.items()
    }
    return studies(made_episodes(ends() | THRESHOLD | made), Bootstrap(resamples=200), "0/dev")


def looks(*returns: tuple[float, ...]) -> pd.DataFrame:
    """Lay out the looks of one policy after the other."""
    rows = [(k, 100 * i, value) for k, values in enumerate(returns) for i, value in enumerate(values)]
    return pd.DataFrame(rows, columns=["kappa", "timesteps", "dev_return"])


def judged(points: dict[float, tuple[int, float]], *returns: tuple[float, ...]) -> pd.Series:
    table = training(dev(points), {KEY: looks(*(returns or [(0.1, 0.3, 0.2)]))}, 0.95)
    return table.iloc[0]


def test_a_run_that_learned_and_reaches_what_a_threshold_does_is_trained() -> None:
    row = judged(GOOD)
    assert (row["trained"], row["why"]) == ("yes", "")
    assert row[["policies", "left_as_begun", "points", "distinct_points", "below_thresholds"]].tolist() == [
        1,
        0,
        3,
        3,
        0,
    ]
    assert row["widest_hole"] == pytest.approx(0.1)


@pytest.mark.parametrize(
    ("points", "returns", "why"),
    [
        (GOOD, [(0.1, 0.3), (0.5, 0.4)], "1 of 2 policies are as they began"),
        (GOOD | {1.5: (20, 1)}, [], "4 operating points have 3 strong shares"),
        ({0.5: (30, 2), 2.0: (12, 0.1)}, [], "a hole of 19% in strong share"),
        ({0.5: (16, 2), 1.0: (14, 1)}, [], "below the best threshold at 6 of 8 trade-offs"),
    ],
)
def test_each_way_to_fail_is_named(
    points: dict[float, tuple[int, float]], returns: list[tuple[float, ...]], why: str
) -> None:
    row = judged(points, *returns)
    assert (row["trained"], row["why"]) == ("no", why)


def test_one_policy_for_all_kappas_is_looked_at_once() -> None:
    table = looks((0.1, 0.3, 0.2)).assign(kappa=np.nan)
    row = training(dev(GOOD), {KEY: table}, 0.95).iloc[0]
    assert (row["policies"], row["left_as_begun"]) == (1, 0)


def test_failures_are_found_by_run_and_looks_by_folder(tmp_path: Path) -> None:
    folder = tmp_path / "routers/trim-agg/arith/default.0"
    folder.mkdir(parents=True)
    looks((0.5, 0.4)).to_csv(folder / "learning.csv", index=False)
    found = read_looks([folder])
    assert list(found) == [KEY]
    assert failures(training(dev(GOOD), found, 0.95)) == {KEY: "1 of 1 policies are as they began"}
    assert failures(training(dev(GOOD), {KEY: looks((0.1, 0.2))}, 0.95)) == {KEY: ""}


def test_without_learned_routers_the_table_is_empty() -> None:
    table = training({}, {}, 0.95)
    assert table.empty
    assert {"trained", "why"} <= set(table)
    assert dict(failures(table)) == {}
    assert measure(made_episodes(ends()), CURVE)
