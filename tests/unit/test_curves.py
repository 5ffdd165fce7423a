"""Metrics of curves, worked out by hand."""

import numpy as np
import pytest
from one_curve import read_one

from trim.evaluation.curves import LEVELS, METRICS, SMALLEST_SHARE, pgr_at, read_as_paper, read_envelope

READINGS = [read_envelope, read_as_paper]
NOTHING_REACHED = LEVELS.mean() - 1  # delta IBC when every level counts as c = 1


NEVER = np.inf


def cpts(metrics: dict[str, float]) -> tuple[float, ...]:
    return metrics["cpt50"], metrics["cpt80"], metrics["cpt95"]


def test_straight_lines_from_the_weak_model() -> None:
    # PGR 0.6 at 0.1, then 1 at 0.3; weak 0.2, strong 0.7.
    metrics = read_one(read_envelope, [0.3, 0.1], [0.7, 0.5], 0.2, 0.7)
    assert cpts(metrics) == pytest.approx((0.05 / 0.6, 0.2, 0.275))
    costs = np.where(LEVELS <= 0.6, LEVELS / 6, 0.1 + (LEVELS - 0.6) / 2)
    assert metrics["delta_ibc"] == pytest.approx(np.mean(LEVELS / costs) - 1)
    assert metrics["apgr"] == pytest.approx(0.1 * 0.3 + 0.2 * 0.8 + 0.7)


def test_without_dominated_points_and_with_all_levels_reached_the_readings_agree() -> None:
    curve = ([0.1, 0.3, 0.5], [0.5, 0.6, 0.7], 0.2, 0.7)
    envelope, paper = read_one(read_envelope, *curve), read_one(read_as_paper, *curve)
    assert cpts(paper) == cpts(envelope)
    assert paper["delta_ibc"] == envelope["delta_ibc"]
    assert np.isnan(paper["apgr"])


def test_only_the_paper_reading_follows_a_dip() -> None:
    curve = ([0.2, 0.4, 0.6], [0.4, 0.3, 1.0], 0.0, 1.0)
    assert read_one(read_envelope, *curve)["cpt50"] == pytest.approx(0.2 + 0.4 / 6)
    assert read_one(read_as_paper, *curve)["cpt50"] == pytest.approx(0.4 + 0.2 * 2 / 7)


def test_only_the_paper_reading_extrapolates() -> None:
    curve = ([0.2, 0.4], [0.5, 0.6], 0.0, 1.0)
    assert cpts(read_one(read_envelope, *curve)) == pytest.approx((0.2, NEVER, NEVER))
    assert cpts(read_one(read_as_paper, *curve)) == pytest.approx((0.2, 0.8, 1.1))
    costs = np.where(LEVELS <= 0.5, LEVELS / 2.5, np.where(LEVELS <= 0.6, 0.2 + (LEVELS - 0.5) * 2, 1))
    assert read_one(read_envelope, *curve)["delta_ibc"] == pytest.approx(np.mean(LEVELS / costs) - 1)


@pytest.mark.parametrize("last", [0.6, 0.5])
def test_a_last_line_that_does_not_rise_reaches_nothing(last: float) -> None:
    metrics = read_one(read_as_paper, [0.2, 0.4], [0.6, last], 0.0, 1.0)
    assert cpts(metrics) == pytest.approx((0.5 / 3, NEVER, NEVER))
    assert np.isfinite(metrics["delta_ibc"])


@pytest.mark.parametrize("read", READINGS)
@pytest.mark.parametrize("curve", [([], []), ([0.0], [0.3]), ([0.0, 0.0], [0.3, 0.2])])
def test_the_weak_model_alone_reaches_nothing(read, curve) -> None:
    metrics = read_one(read, *curve, 0.3, 0.8)
    assert cpts(metrics) == (NEVER, NEVER, NEVER)
    assert metrics["delta_ibc"] == pytest.approx(NOTHING_REACHED)
    assert metrics["apgr"] == pytest.approx(0.5 if read is read_envelope else np.nan, nan_ok=True)


@pytest.mark.parametrize("read", READINGS)
def test_a_free_gain_has_a_finite_worth(read) -> None:
    metrics = read_one(read, [0.0, 0.5], [0.5, 1.0], 0.0, 1.0)
    assert cpts(metrics) == pytest.approx((0.0, 0.3, 0.45))
    costs = np.where(LEVELS <= 0.5, SMALLEST_SHARE, LEVELS - 0.5)
    assert metrics["delta_ibc"] == pytest.approx(np.mean(LEVELS / np.maximum(costs, SMALLEST_SHARE)) - 1)
    if read is read_envelope:
        assert metrics["apgr"] == pytest.approx(0.5 * 0.75 + 0.5)


@pytest.mark.parametrize("read", READINGS)
def test_of_points_at_equal_cost_the_best_counts(read) -> None:
    best = read_one(read, [0.2], [0.9], 0.0, 1.0)
    assert read_one(read, [0.2, 0.2, 0.2], [0.3, 0.9, 0.6], 0.0, 1.0) == pytest.approx(best, rel=0, abs=0, nan_ok=True)


@pytest.mark.parametrize("read", READINGS)
@pytest.mark.parametrize("strong", [0.4, 0.3])
def test_without_a_gap_the_metrics_are_undefined(read, strong: float) -> None:
    metrics = read_one(read, [0.1, 0.5], [0.5, 0.6], 0.4, strong)
    assert list(metrics) == list(METRICS)
    assert np.isnan([*metrics.values()]).all()


def test_shares_above_one_are_reported_but_not_integrated() -> None:
    metrics = read_one(read_envelope, [0.5, 2.0], [0.5, 1.0], 0.0, 1.0)
    assert cpts(metrics) == pytest.approx((0.5, 1.4, 1.85))
    # Above PGR 0.5 the strong model alone is cheaper than the sweep: c = 1, or less just above 0.5.
    costs = np.where(LEVELS <= 0.5, LEVELS, np.minimum(0.5 + (LEVELS - 0.5) * 3, 1))
    assert metrics["delta_ibc"] == pytest.approx(np.mean(LEVELS / costs) - 1)
    assert metrics["apgr"] == pytest.approx(0.5)


def test_a_router_better_than_the_strong_model_has_a_pgr_above_one() -> None:
    metrics = read_one(read_envelope, [0.5, 1.5, 1.6], [1.2, 1.4, 1.9], 0.0, 1.0)
    assert metrics["apgr"] == pytest.approx(0.5 * 0.6 + 0.5 * 1.25)


@pytest.mark.parametrize("read", READINGS)
def test_a_level_is_reached_in_spite_of_float_noise(read) -> None:
    assert (0.3 - 0.2) / (0.4 - 0.2) < 0.5
    assert read_one(read, [0.5], [0.3], 0.2, 0.4)["cpt50"] == 0.5


def test_float_noise_does_not_make_a_point_count() -> None:
    clean = read_one(read_envelope, [0.1, 0.2, 0.4], [0.5, 0.5, 1.0], 0.0, 1.0)
    assert read_one(read_envelope, [0.1, 0.2, 0.4], [0.5, 0.5 + 1e-14, 1.0], 0.0, 1.0) == clean


@pytest.mark.parametrize("read", READINGS)
@pytest.mark.parametrize(
    ("shares", "accuracies"), [([0.1], [0.2, 0.3]), ([-0.1], [0.2]), ([np.nan], [0.2]), ([0.1], [np.inf])]
)
def test_values_that_are_no_curve_are_refused(read, shares, accuracies) -> None:
    with pytest.raises(ValueError, match="shares and accuracies must"):
        read_one(read, shares, accuracies, 0.1, 0.9)


@pytest.mark.parametrize("read", READINGS)
def test_many_curves_at_once_are_each_read_alone(read) -> None:
    random = np.random.default_rng(1)
    shares, accuracies = random.random((2, 50, 6))
    weak, strong = random.random((2, 50)) * [[0.5], [1]]
    many = read(shares, accuracies, weak, strong)
    for row in range(50):
        alone = read_one(read, shares[row], accuracies[row], weak[row], strong[row])
        np.testing.assert_array_equal([many[name][row] for name in METRICS], [alone[name] for name in METRICS])
    assert 0 < np.isnan(many["delta_ibc"]).sum() == (strong <= weak).sum()


def test_pgr_at_given_shares() -> None:
    shares = np.array([[0.2, 0.4, 0.3], [0.0, 0.1, 0.2], [0.1, 0.2, 0.3]])
    accuracies = np.array([[0.5, 0.9, 0.4], [0.3, 0.2, 0.1], [0.5, 0.6, 0.7]])
    weak, strong = np.array([0.1, 0.2, 0.5]), np.array([1.1, 0.7, 0.5])
    expected = [[0, 0.2, 0.4, 0.6, 0.8], [0.2] * 5, [np.nan] * 5]
    np.testing.assert_allclose(pgr_at(shares, accuracies, weak, strong, [0, 0.1, 0.2, 0.3, 5]), expected)
