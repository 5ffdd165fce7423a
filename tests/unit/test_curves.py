"""Metrics of curves, worked out by hand."""

import numpy as np
import pytest

from trim.evaluation.curves import (
    LEVELS,
    SMALLEST_SHARE,
    Metrics,
    envelope_metrics,
    envelope_samples,
    paper_metrics,
    paper_samples,
    pgr_at,
)

READINGS = [envelope_metrics, paper_metrics]
NOTHING_REACHED = LEVELS.mean() - 1  # delta IBC when every level counts as c = 1


def cpts(metrics: Metrics) -> tuple[float | None, ...]:
    return metrics.cpt50, metrics.cpt80, metrics.cpt95


def test_straight_lines_from_the_weak_model() -> None:
    # PGR 0.6 at 0.1, then 1 at 0.3; weak 0.2, strong 0.7.
    metrics = envelope_metrics([0.3, 0.1], [0.7, 0.5], 0.2, 0.7)
    assert cpts(metrics) == pytest.approx((0.05 / 0.6, 0.2, 0.275))
    costs = np.where(LEVELS <= 0.6, LEVELS / 6, 0.1 + (LEVELS - 0.6) / 2)
    assert metrics.delta_ibc == pytest.approx(np.mean(LEVELS / costs) - 1)
    assert metrics.apgr == pytest.approx(0.1 * 0.3 + 0.2 * 0.8 + 0.7)
    assert metrics.reason == ""


def test_without_dominated_points_and_with_all_levels_reached_the_readings_agree() -> None:
    curve = ([0.1, 0.3, 0.5], [0.5, 0.6, 0.7], 0.2, 0.7)
    envelope, paper = envelope_metrics(*curve), paper_metrics(*curve)
    assert cpts(paper) == cpts(envelope)
    assert paper.delta_ibc == envelope.delta_ibc
    assert paper.apgr is None


def test_only_the_paper_reading_follows_a_dip() -> None:
    curve = ([0.2, 0.4, 0.6], [0.4, 0.3, 1.0], 0.0, 1.0)
    assert envelope_metrics(*curve).cpt50 == pytest.approx(0.2 + 0.4 / 6)
    assert paper_metrics(*curve).cpt50 == pytest.approx(0.4 + 0.2 * 2 / 7)


def test_only_the_paper_reading_extrapolates() -> None:
    curve = ([0.2, 0.4], [0.5, 0.6], 0.0, 1.0)
    assert cpts(envelope_metrics(*curve)) == pytest.approx((0.2, None, None))
    assert cpts(paper_metrics(*curve)) == pytest.approx((0.2, 0.8, 1.1))
    costs = np.where(LEVELS <= 0.5, LEVELS / 2.5, np.where(LEVELS <= 0.6, 0.2 + (LEVELS - 0.5) * 2, 1))
    assert envelope_metrics(*curve).delta_ibc == pytest.approx(np.mean(LEVELS / costs) - 1)


@pytest.mark.parametrize("last", [0.6, 0.5])
def test_a_last_line_that_does_not_rise_reaches_nothing(last: float) -> None:
    metrics = paper_metrics([0.2, 0.4], [0.6, last], 0.0, 1.0)
    assert cpts(metrics) == pytest.approx((0.5 / 3, None, None))
    assert metrics.delta_ibc is not None


@pytest.mark.parametrize("read", READINGS)
@pytest.mark.parametrize("curve", [([], []), ([0.0], [0.3]), ([0.0, 0.0], [0.3, 0.2])])
def test_the_weak_model_alone_reaches_nothing(read, curve) -> None:
    metrics = read(*curve, 0.3, 0.8)
    assert cpts(metrics) == (None, None, None)
    assert metrics.delta_ibc == pytest.approx(NOTHING_REACHED)
    assert metrics.apgr == (pytest.approx(0.5) if read is envelope_metrics else None)
    assert metrics.reason == ""


@pytest.mark.parametrize("read", READINGS)
def test_a_free_gain_has_a_finite_worth(read) -> None:
    metrics = read([0.0, 0.5], [0.5, 1.0], 0.0, 1.0)
    assert cpts(metrics) == pytest.approx((0.0, 0.3, 0.45))
    costs = np.where(LEVELS <= 0.5, SMALLEST_SHARE, LEVELS - 0.5)
    assert metrics.delta_ibc == pytest.approx(np.mean(LEVELS / np.maximum(costs, SMALLEST_SHARE)) - 1)
    if read is envelope_metrics:
        assert metrics.apgr == pytest.approx(0.5 * 0.75 + 0.5)


@pytest.mark.parametrize("read", READINGS)
def test_of_points_at_equal_cost_the_best_counts(read) -> None:
    assert read([0.2, 0.2, 0.2], [0.3, 0.9, 0.6], 0.0, 1.0) == read([0.2], [0.9], 0.0, 1.0)


@pytest.mark.parametrize("read", READINGS)
@pytest.mark.parametrize("strong", [0.4, 0.3])
def test_without_a_gap_the_metrics_are_empty_and_say_why(read, strong: float) -> None:
    assert read([0.1, 0.5], [0.5, 0.6], 0.4, strong) == Metrics(None, None, None, None, None, "strong <= weak")


def test_shares_above_one_are_reported_but_not_integrated() -> None:
    metrics = envelope_metrics([0.5, 2.0], [0.5, 1.0], 0.0, 1.0)
    assert cpts(metrics) == pytest.approx((0.5, 1.4, 1.85))
    # Above PGR 0.5 the strong model alone is cheaper than the sweep: c = 1, or less just above 0.5.
    costs = np.where(LEVELS <= 0.5, LEVELS, np.minimum(0.5 + (LEVELS - 0.5) * 3, 1))
    assert metrics.delta_ibc == pytest.approx(np.mean(LEVELS / costs) - 1)
    assert metrics.apgr == pytest.approx(0.5)


def test_a_router_better_than_the_strong_model_has_a_pgr_above_one() -> None:
    metrics = envelope_metrics([0.5, 1.5, 1.6], [1.2, 1.4, 1.9], 0.0, 1.0)
    assert metrics.apgr == pytest.approx(0.5 * 0.6 + 0.5 * 1.25)


@pytest.mark.parametrize("read", READINGS)
def test_a_level_is_reached_in_spite_of_float_noise(read) -> None:
    assert (0.3 - 0.2) / (0.4 - 0.2) < 0.5
    assert read([0.5], [0.3], 0.2, 0.4).cpt50 == 0.5


def test_float_noise_does_not_make_a_point_count() -> None:
    clean = envelope_metrics([0.1, 0.2, 0.4], [0.5, 0.5, 1.0], 0.0, 1.0)
    assert envelope_metrics([0.1, 0.2, 0.4], [0.5, 0.5 + 1e-14, 1.0], 0.0, 1.0) == clean


@pytest.mark.parametrize("read", READINGS)
@pytest.mark.parametrize(
    ("shares", "accuracies"), [([0.1], [0.2, 0.3]), ([-0.1], [0.2]), ([np.nan], [0.2]), ([0.1], [np.inf])]
)
def test_values_that_are_no_curve_are_refused(read, shares, accuracies) -> None:
    with pytest.raises(ValueError, match="shares and accuracies must"):
        read(shares, accuracies, 0.1, 0.9)


@pytest.mark.parametrize(("many", "one"), [(envelope_samples, envelope_metrics), (paper_samples, paper_metrics)])
def test_many_curves_at_once_are_each_read_alone(many, one) -> None:
    random = np.random.default_rng(1)
    shares, accuracies = random.random((2, 50, 6))
    weak, strong = random.random((2, 50)) * [[0.5], [1]]
    samples = many(shares, accuracies, weak, strong)
    for row in range(50):
        alone = one(shares[row], accuracies[row], weak[row], strong[row])
        for name in ("cpt50", "cpt80", "cpt95", "delta_ibc", "apgr"):
            value, here = getattr(alone, name), getattr(samples, name)[row]
            assert np.isnan(here) if value is None else here == value
    assert samples.share_without_gap == np.mean(strong <= weak) > 0


def test_pgr_at_given_shares() -> None:
    shares = np.array([[0.2, 0.4, 0.3], [0.0, 0.1, 0.2], [0.1, 0.2, 0.3]])
    accuracies = np.array([[0.5, 0.9, 0.4], [0.3, 0.2, 0.1], [0.5, 0.6, 0.7]])
    weak, strong = np.array([0.1, 0.2, 0.5]), np.array([1.1, 0.7, 0.5])
    expected = [[0, 0.2, 0.4, 0.6, 0.8], [0.2] * 5, [np.nan] * 5]
    np.testing.assert_allclose(pgr_at(shares, accuracies, weak, strong, [0, 0.1, 0.2, 0.3, 5]), expected)
