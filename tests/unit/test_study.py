"""What every table reads of a dataset: which runs a router has, and on which resamples they are."""

from pathlib import Path

import numpy as np
import pytest
from made_episodes import ends, made_episodes, right

from trim.config.experiment import Bootstrap
from trim.errors import InputError
from trim.evaluation.study import Study, nearest, studies, studies_by_prm
from trim.files import write_parquet

SETTINGS = Bootstrap(resamples=50)
POINT = (right(20), 2 * right(20))
ROUTERS = {
    ("arith", "trim-agg", "default", 1.0): POINT,
    ("arith", "trim-agg", "conditioned", 1.0): POINT,
    ("hard", "trim-agg", "conditioned", 1.0): POINT,
    ("hard", "trim-seq", "default", 1.0): POINT,
    ("untrained", "random-step", "default", 0.5): POINT,
}


@pytest.fixture(scope="module")
def data() -> Study:
    return studies(made_episodes(ends() | ROUTERS), SETTINGS, 7)["arith"]


def found(data: Study, *wanted: str) -> list[tuple[str, str]]:
    return [(sweep.trained_on, sweep.variant) for sweep in data.find(*wanted)]


def test_a_router_is_found_by_the_first_of_its_variants_that_there_is(data: Study) -> None:
    assert found(data, "trim-agg") == [("arith", "conditioned"), ("hard", "conditioned")]
    assert found(data, "trim-seq") == [("hard", "default")]
    assert found(data, "trim-agg", "default") == [("arith", "default")]
    assert found(data, "trim-agg", "", "arith") == [("arith", "conditioned")]
    assert found(data, "random-step", "", "arith") == [("untrained", "default")]
    assert found(data, "trim-pomdp") == found(data, "trim-seq", "", "arith") == []


def test_an_unknown_router_is_an_error(data: Study) -> None:
    with pytest.raises(InputError, match="there is no router 'trim-trh'"):
        data.find("trim-trh")


def test_end_points_have_no_curve(data: Study) -> None:
    assert {"weak-only", "strong-only"}.isdisjoint(sweep.router for sweep in data.curves())
    assert set(data.metrics) == {sweep.key for sweep in data.curves()}


def test_prms_share_the_resamples_of_the_experiment(data: Study, tmp_path: Path) -> None:
    episodes = made_episodes(ends() | ROUTERS)
    for name in ("noisy", "sharp"):
        write_parquet(episodes.assign(prm=name), tmp_path / f"{name}.parquet", {})
    by_prm = studies_by_prm(map(str, sorted(tmp_path.glob("*.parquet"))), SETTINGS, 7)
    assert list(by_prm) == ["noisy", "sharp"]
    for prm in by_prm.values():
        np.testing.assert_array_equal(prm.counts, data.counts)


def test_of_shares_equally_near_the_smaller_is_taken() -> None:
    assert nearest(np.array([0.24, 0.18, 0.22]), 0.2) == 1
    assert nearest(np.array([0.26, 0.14]), 0.2) is None
