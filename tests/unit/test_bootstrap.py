"""Resamples of problems, intervals and paired differences."""

import numpy as np
import pytest

from trim.errors import InputError
from trim.evaluation.bootstrap import bounds, columns, compared, holm, p_value, resample_counts, resampled_mean
from trim.evaluation.study import Study, Sweep

RANDOM = np.random.default_rng(5)


def number(*values: float) -> np.ndarray:
    return np.array(values, dtype=float)


def study_of(router: Sweep, weak: np.ndarray, strong: np.ndarray, alone: np.ndarray, counts: np.ndarray) -> Study:
    """Study one router; `alone` are the tokens of the strong model by itself."""
    ends = [
        Sweep("untrained", name, "default", 0, (0.0,), {"correct": right[None], "strong_tokens": tokens[None]})
        for name, right, tokens in (("weak-only", weak, 0 * alone), ("strong-only", strong, alone))
    ]
    return Study([*ends, router], counts)


def sweep(correct: np.ndarray, tokens: np.ndarray) -> Sweep:
    return Sweep(
        "arith", "trim-thr", "default", 0, (0.5,) * len(correct), {"correct": correct, "strong_tokens": tokens}
    )


@pytest.mark.parametrize("seed", [7, "arith"])
def test_counts_are_a_function_of_the_seed_and_sum_to_the_problems(seed: int | str) -> None:
    counts = resample_counts(30, 200, seed)
    assert counts.shape == (201, 30)
    assert (counts[0] == 1).all()
    assert (counts.sum(axis=1) == 30).all()
    assert (counts == resample_counts(30, 200, seed)).all()
    assert (counts != resample_counts(30, 200, "another")).any()
    # Each problem is drawn once on average, with the variance of a binomial.
    assert counts[1:].mean(axis=0) == pytest.approx(np.ones(30), abs=0.4)
    assert counts[1:].var() == pytest.approx(1 - 1 / 30, abs=0.05)


def test_a_text_seed_is_the_same_in_every_process() -> None:
    assert resample_counts(8, 1, "arith").tolist() == [[1] * 8, [3, 3, 0, 0, 0, 1, 1, 0]]


def test_the_first_row_gives_the_estimates_and_the_others_those_of_the_problems_drawn() -> None:
    counts, alone = resample_counts(20, 10, 1), RANDOM.random(20) * 200
    router = sweep(RANDOM.random((3, 20)), RANDOM.random((3, 20)) * 100)
    shares, accuracies = study_of(router, np.zeros(20), np.ones(20), alone, counts).curve(router)
    for row in range(11):
        drawn = np.repeat(np.arange(20), counts[row].astype(int))
        np.testing.assert_allclose(accuracies[row], router.values["correct"][:, drawn].mean(axis=1))
        expected = router.values["strong_tokens"][:, drawn].sum(axis=1) / alone[drawn].sum()
        np.testing.assert_allclose(shares[row], expected)
    values = RANDOM.random(20)
    assert resampled_mean(values, counts)[0] == pytest.approx(values.mean())


def test_a_sweep_without_points_has_an_empty_curve() -> None:
    router = sweep(np.empty((0, 4)), np.empty((0, 4)))
    data = study_of(router, np.zeros(4), np.ones(4), np.ones(4), np.ones((2, 4)))
    assert [values.shape for values in data.curve(router)] == [(2, 0), (2, 0)]


def test_a_strong_model_that_writes_nothing_has_no_shares() -> None:
    router = sweep(np.ones((1, 3)), np.ones((1, 3)))
    with pytest.raises(InputError, match="decoded no tokens"):
        study_of(router, np.zeros(3), np.ones(3), np.zeros(3), np.ones((1, 3))).curve(router)


def test_resamples_without_a_gap_are_left_out() -> None:
    # The strong model solves one problem more: a resample without it, one in three, has no gap.
    weak, strong = number(1, 0, 0, 0, 0, 0), number(1, 1, 0, 0, 0, 0)
    router = sweep(strong[None], np.full((1, 6), 5.0))
    data = study_of(router, weak, strong, np.full(6, 10.0), resample_counts(6, 4000, 3))
    cpt50 = data.metrics[router.key]["cpt50"]
    assert np.isnan(cpt50).mean() == pytest.approx((5 / 6) ** 6, abs=0.03)
    assert bounds(cpt50, 0.95) == pytest.approx((0.25, 0.25, 0.25))


def test_bounds_are_the_estimate_and_the_resamples_outside_the_percentiles() -> None:
    assert bounds(number(7, *range(101)), 0.9) == (7, 5, 95)
    assert bounds(number(7, *range(101)), 0.75) == (7, 12, 88)  # of 12.5 and 87.5 the outer ones
    assert bounds(number(7, *range(101), np.nan), 0.75) == (7, 12, 88)
    assert bounds(number(7, *range(9), np.inf), 0.8).hi == np.inf
    assert bounds(number(np.inf, *range(9), np.inf), 0.8) == (np.inf, 0, np.inf)


@pytest.mark.parametrize(("filled", "is_there"), [(10, True), (5, True), (4, False), (0, False)])
def test_undefined_resamples_are_left_out_until_they_are_most(filled: int, is_there: bool) -> None:
    ends = bounds(number(3, *np.where(np.arange(10) < filled, 2.0, np.nan)), 0.95)
    np.testing.assert_array_equal(ends, (3, 2, 2) if is_there else (3, np.nan, np.nan))


def test_without_an_estimate_there_is_no_interval() -> None:
    assert np.isnan(bounds(number(np.nan, 1, 1), 0.9)).all()
    assert np.isnan(bounds(number(1), 0.9)[1:]).all()


def test_the_interval_of_a_mean_is_that_of_the_normal_approximation() -> None:
    values = RANDOM.normal(size=500)
    _, lo, hi = bounds(resampled_mean(values, resample_counts(500, 4000, 0)), 0.95)
    half = 1.96 * values.std() / np.sqrt(500)
    assert (lo, hi) == pytest.approx((values.mean() - half, values.mean() + half), abs=0.01)


def test_what_is_undefined_or_infinite_is_empty_in_a_table() -> None:
    assert columns("cpt50", number(0.2, 0.1, 0.3), 0.95) == {"cpt50": 0.2, "cpt50_lo": 0.1, "cpt50_hi": 0.3}
    not_reached = columns("cpt50", number(np.inf, 0.1, np.inf), 0.95)
    np.testing.assert_array_equal([*not_reached.values()], [np.nan, 0.1, np.nan])


def ends(found: dict[str, float]) -> tuple[float, float, float]:
    return found["difference_lo"], found["difference_hi"], found["p_value"]


def test_a_router_does_not_differ_from_itself() -> None:
    values = RANDOM.random(100)
    assert ends(compared(values, values, 0.95)) == (0, 0, 1)


def test_a_difference_is_paired() -> None:
    noise = RANDOM.normal(size=1000)
    found = compared(noise + 0.1, noise, 0.95)
    assert found["difference"] == pytest.approx(0.1)
    assert (found["value"], found["other_value"]) == (noise[0] + 0.1, noise[0])
    assert ends(found) == pytest.approx((0.1, 0.1, 2 / 1000))


def test_a_difference_swaps_sides_with_its_routers() -> None:
    a, b = RANDOM.normal(0.5, 1, 501), RANDOM.normal(size=501)
    (lo, hi, p), back = ends(compared(a, b, 0.9)), ends(compared(b, a, 0.9))
    assert (lo, hi, p) == pytest.approx((-back[1], -back[0], back[2]))


def test_a_difference_leaves_out_what_is_undefined_in_either() -> None:
    a, b = number(1, 1, np.nan, 3, 3), number(0, 0, 0, np.nan, 2)
    assert ends(compared(a, b, 0.95)) == (1, 1, 2 / 3)
    assert np.isnan(ends(compared(a, np.full(5, np.nan), 0.95))).all()


def test_the_smallest_p_value_is_that_of_one_more_resample() -> None:
    assert p_value(number(9, 1, 2, 3)) == 2 / 4
    assert p_value(number(9, 1, -2, np.nan)) == 1
    zero = number(0, 0, 0, 0)
    found = [compared(ours, zero, 0.95)["p_at_floor"] for ours in (number(9, 1, 2, 3), number(9, 1, -2, 3))]
    assert found == [1, 0]  # only there is a smaller one possible


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
    reached, never = np.linspace(0.2, 0.3, 101), np.full(101, np.inf)
    found = compared(reached, never, 0.95)
    assert found["difference"] == -np.inf
    assert (found["value"], np.isnan(found["other_value"])) == (0.2, True)
    assert ends(found) == (-np.inf, -np.inf, pytest.approx(2 / 101))
    assert np.isnan([*compared(never, never, 0.95).values()]).all()
    sometimes = np.where(np.arange(101) < 20, np.inf, reached)
    assert ends(compared(sometimes, reached, 0.95))[:2] == (0, np.inf)
    assert ends(compared(reached + 0.1, reached, 0.95))[:2] == pytest.approx((0.1, 0.1))


def test_resamples_are_the_same_however_many_numbers_are_drawn_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = resample_counts(7, 50, "any")
    monkeypatch.setattr("trim.evaluation.bootstrap.DRAWN_AT_ONCE", 21)
    assert (resample_counts(7, 50, "any") == whole).all()
