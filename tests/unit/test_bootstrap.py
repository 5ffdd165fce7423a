"""Resamples of problems, intervals and paired differences."""

import numpy as np
import pytest

from trim.evaluation.bootstrap import (
    Sweep,
    cpt_difference,
    difference,
    holm,
    interval,
    resample_counts,
    resampled_curve,
    resampled_mean,
)
from trim.evaluation.curves import envelope_samples

RANDOM = np.random.default_rng(5)


@pytest.mark.parametrize("seed", [7, "arith"])
def test_counts_are_a_function_of_the_seed_and_sum_to_the_problems(seed: int | str) -> None:
    counts = resample_counts(30, 200, seed)
    assert counts.shape == (200, 30)
    assert (counts.sum(axis=1) == 30).all()
    assert (counts == resample_counts(30, 200, seed)).all()
    assert (counts != resample_counts(30, 200, "another")).any()
    # Each problem is drawn once on average, with the variance of a binomial.
    assert counts.mean(axis=0) == pytest.approx(np.ones(30), abs=0.4)
    assert counts.var() == pytest.approx(1 - 1 / 30, abs=0.05)


def test_a_text_seed_is_the_same_in_every_process() -> None:
    assert resample_counts(8, 1, "arith").tolist() == [[3, 3, 0, 0, 0, 1, 1, 0]]


def test_a_resampled_curve_is_the_curve_of_the_problems_drawn() -> None:
    sweep = Sweep(RANDOM.random((3, 20)), RANDOM.random((3, 20)) * 100)
    alone, counts = RANDOM.random(20) * 200, resample_counts(20, 10, 1)
    shares, accuracies = resampled_curve(sweep, counts, alone)
    for row in range(10):
        drawn = np.repeat(np.arange(20), counts[row].astype(int))
        np.testing.assert_allclose(accuracies[row], sweep.correct[:, drawn].mean(axis=1))
        expected = sweep.strong_tokens[:, drawn].sum(axis=1) / alone[drawn].sum()
        np.testing.assert_allclose(shares[row], expected)


def test_ones_as_counts_give_the_measured_values() -> None:
    values = RANDOM.random(12)
    assert resampled_mean(values, np.ones((1, 12))) == pytest.approx([values.mean()])


def test_a_sweep_without_points_has_an_empty_curve() -> None:
    shares, accuracies = resampled_curve(Sweep(np.empty((0, 4)), np.empty((0, 4))), np.ones((2, 4)), np.ones(4))
    assert shares.shape == accuracies.shape == (2, 0)


def test_a_sweep_of_unequal_parts_is_refused() -> None:
    with pytest.raises(ValueError, match=r"not \(2, 3\) and \(2, 4\)"):
        Sweep(np.ones((2, 3)), np.ones((2, 4)))


def test_a_strong_model_that_writes_nothing_has_no_shares() -> None:
    with pytest.raises(ValueError, match="decoded no tokens"):
        resampled_curve(Sweep(np.ones((1, 3)), np.ones((1, 3))), np.ones((1, 3)), np.zeros(3))


def test_resamples_without_a_gap_are_counted() -> None:
    # The strong model solves one problem more: a resample without it, one in three, has no gap.
    weak, strong = np.array([1.0, 0, 0, 0, 0, 0]), np.array([1.0, 1, 0, 0, 0, 0])
    counts = resample_counts(6, 4000, 3)
    curve = resampled_curve(Sweep(strong[None], np.full((1, 6), 5.0)), counts, np.full(6, 10.0))
    samples = envelope_samples(*curve, resampled_mean(weak, counts), resampled_mean(strong, counts))
    assert samples.share_without_gap == pytest.approx((5 / 6) ** 6, abs=0.03)
    lo, hi, empty = interval(samples.cpt50, 0.95)
    assert (lo, hi) == pytest.approx((0.25, 0.25))
    assert empty == samples.share_without_gap


def test_the_interval_holds_the_middle_of_the_samples() -> None:
    assert interval(np.arange(101.0), 0.9) == pytest.approx((5, 95, 0))


def test_the_interval_of_a_mean_is_that_of_the_normal_approximation() -> None:
    values = RANDOM.normal(size=500)
    lo, hi, _ = interval(resampled_mean(values, resample_counts(500, 4000, 0)), 0.95)
    half = 1.96 * values.std() / np.sqrt(500)
    assert (lo, hi) == pytest.approx((values.mean() - half, values.mean() + half), abs=0.01)


@pytest.mark.parametrize(("filled", "expected"), [(10, 0.0), (5, 0.5), (4, 0.6), (0, 1.0)])
def test_empty_samples_are_left_out_until_they_are_most(filled: int, expected: float) -> None:
    samples = np.where(np.arange(10) < filled, 2.0, np.nan)
    lo, hi, empty = interval(samples, 0.95)
    assert empty == pytest.approx(expected)
    assert (lo, hi) == (2, 2) if expected <= 0.5 else np.isnan([lo, hi]).all()


def test_a_router_does_not_differ_from_itself() -> None:
    values = RANDOM.random(100)
    assert difference(values, values, 0.95) == (0, 0, 1)


def test_a_difference_is_paired() -> None:
    noise = RANDOM.normal(size=999)
    lo, hi, p = difference(noise + 0.1, noise, 0.95)
    assert (lo, hi) == pytest.approx((0.1, 0.1))
    assert p == 2 / 1000


def test_a_difference_swaps_sides_with_its_routers() -> None:
    a, b = RANDOM.normal(0.5, 1, 500), RANDOM.normal(size=500)
    forth, back = difference(a, b, 0.9), difference(b, a, 0.9)
    assert forth == pytest.approx((-back.hi, -back.lo, back.p))


def test_a_difference_leaves_out_what_is_empty_in_either() -> None:
    a, b = np.array([1.0, np.nan, 3, 3]), np.array([0.0, 0, np.nan, 2])
    assert difference(a, b, 0.95) == (1, 1, 2 / 3)
    assert np.isnan(difference(a, np.full(4, np.nan), 0.95)).all()


def test_holm_by_hand() -> None:
    # Sorted: 0.01 x 4, 0.02 x 3, 0.03 x 2, 0.04 x 1; never below the one before.
    np.testing.assert_allclose(holm(np.array([0.03, 0.01, 0.04, 0.02])), [0.06, 0.04, 0.06, 0.06])
    np.testing.assert_allclose(holm(np.array([0.5, 0.6, 0.7])), [1, 1, 1])
    np.testing.assert_allclose(holm(np.array([0.02, np.nan, 0.01])), [0.02, np.nan, 0.02])
    assert holm(np.array([])).size == 0


def test_holm_keeps_its_promise_under_true_nulls() -> None:
    draws = np.random.default_rng(0).random((2000, 8))
    rejected = np.mean([(holm(row) < 0.05).any() for row in draws])
    assert rejected < 0.065


def test_a_cpt_that_is_not_reached_is_worse_than_any_that_is() -> None:
    reached, never = np.linspace(0.2, 0.3, 100), np.full(100, np.inf)
    lo, hi, p = cpt_difference(reached, never, 0.95)
    assert lo == hi == -np.inf
    assert p == pytest.approx(2 / 101)
    assert np.isnan(cpt_difference(never, never, 0.95)).all()
    sometimes = np.where(np.arange(100) < 20, np.inf, reached)
    lo, hi, p = cpt_difference(sometimes, reached, 0.95)
    assert (lo, hi) == (0, np.inf)
    lo, hi, p = cpt_difference(reached + 0.1, reached, 0.95)
    assert (lo, hi) == pytest.approx((0.1, 0.1))
