"""How episodes go on."""

from dataclasses import replace

import numpy as np
import pytest
from pomdp_models import random_model

from trim.errors import InputError
from trim.routers.pomdp.transition import TransitionModel, fit_transition, matched


def rollouts(rng: np.random.Generator, count: int, longest: int) -> tuple[np.ndarray, ...]:
    """Nodes with right prefixes of chains that end anywhere from 3 steps to the longest."""
    lengths = rng.integers(3, longest + 1, count)
    positions = np.concatenate([np.arange(n) for n in lengths])
    final = np.concatenate([np.arange(n) == n - 1 for n in lengths])
    right = rng.random(len(positions)) < 0.8 - 0.02 * positions
    strong = (rng.random(len(positions)) < np.where(right, 0.98, 0.7)).astype(float)
    strong[rng.random(len(positions)) < 0.3] = np.nan
    tokens = rng.choice([4, 10, 30], len(positions))
    return positions, right, strong, final, tokens


def test_a_fit_finds_what_the_rollouts_were_drawn_from() -> None:
    fitted = fit_transition(*rollouts(np.random.default_rng(0), 4000, 8), 30, by_step=True)
    assert fitted.strong_if_right == pytest.approx(0.98, abs=0.01)
    assert fitted.strong_if_wrong == pytest.approx(0.7, abs=0.03)
    assert fitted.weak_accuracy[1:7] == pytest.approx(0.8 - 0.02 * np.arange(1, 7), abs=0.02)
    assert fitted.tokens @ fitted.token_weights == pytest.approx(44 / 3, abs=1)
    assert fitted.max_steps == 30


def test_accuracies_count_right_and_wrong_drafts_apart() -> None:
    right = np.array([True, True, True, False, False])
    strong = np.array([1, 1, np.nan, 0, np.nan])
    fitted = fit_transition(np.zeros(5, int), right, strong, right, np.full(5, 7), 3)
    assert fitted.weak_accuracy == pytest.approx(np.full(3, 4 / 7))
    assert (fitted.strong_if_right, fitted.strong_if_wrong) == pytest.approx((3 / 4, 1 / 3))
    assert (fitted.tokens.tolist(), fitted.token_weights.tolist()) == ([7], [1])


def test_the_hazard_follows_the_rollouts_and_reaches_beyond_them() -> None:
    positions, right, strong, final, tokens = rollouts(np.random.default_rng(1), 4000, 6)
    fitted = fit_transition(positions, right, strong, final, tokens, 30)
    hazard, pooled = fitted.hazard, final.mean()
    assert hazard[0] < 0.05 < hazard[2] < hazard[3] < hazard[4] < hazard[5]
    # No training chain has ten steps or more: the hazard there is the pooled one, not 1.
    assert hazard[12:-1] == pytest.approx(pooled, abs=0.05)
    assert hazard[-1] == 1
    assert np.unique(fitted.weak_accuracy).size == 1


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"weak_accuracy": np.full(4, 0.5)}, "differ in length"),
        ({"tokens": np.ones(3)}, "differ in length"),
        ({"weak_accuracy": np.full(5, 1.2)}, "weak_accuracy holds"),
        ({"strong_if_wrong": float("nan")}, "strong_if_wrong holds"),
        ({"hazard": np.full(5, 0.5)}, "hazard of the last possible step must be 1"),
        ({"token_weights": np.array([0.5, 0.4])}, "token weights must sum to 1"),
        ({"tokens": np.array([-1.0, 2.0])}, "must not be negative"),
    ],
)
def test_what_is_no_probability_is_refused(change: dict, sentence: str) -> None:
    good: TransitionModel = random_model(np.random.default_rng(0)).transition
    with pytest.raises(InputError, match=sentence):
        replace(good, **change)


def test_a_reward_must_be_positive() -> None:
    with pytest.raises(InputError, match="reward of a right answer must be positive, not 0"):
        random_model(np.random.default_rng(0), reward=0)


def test_bad_rollouts_get_a_sentence() -> None:
    positions, right, strong, final, tokens = rollouts(np.random.default_rng(2), 50, 8)
    with pytest.raises(InputError, match="a step at position 7, but max_steps is 7"):
        fit_transition(positions, right, strong, final, tokens, 7)
    with pytest.raises(InputError, match="no step with a right prefix"):
        fit_transition(*(array[:0] for array in (positions, right, strong, final, tokens)), 7)


@pytest.mark.parametrize("strong_scores", [True, False])
def test_what_follows_a_step_is_a_distribution(strong_scores: bool) -> None:
    model = random_model(np.random.default_rng(5), strong_scores=strong_scores)
    keep, regenerate = model.joint_probabilities(0.6)
    assert keep.sum((0, 2)) == pytest.approx(1)
    assert regenerate.sum((0, 1, 3)) == pytest.approx(1)
    assert regenerate.sum((1, 3)) == pytest.approx(keep.sum(2))  # the draft's symbol does not depend on the action
    assert not keep[:, 0, 1].any() and not regenerate[:, :, 0, 1].any()  # an error that was kept stays
    transition = model.transition
    assert keep[:, 1, 1].sum() == pytest.approx(0.6)
    expected = 0.6 * transition.strong_if_right + 0.4 * transition.strong_if_wrong
    assert regenerate[:, :, 1, 1].sum() == pytest.approx(expected)


@pytest.mark.parametrize(("weak", "strong"), [(0.3, 0.6), (0.05, 0.9), (0.5, 0.5)])
def test_accuracies_are_matched_to_what_each_model_alone_comes_to(weak: float, strong: float) -> None:
    fitted = fit_transition(*rollouts(np.random.default_rng(0), 200, 8), 30, by_step=True)
    found = matched(fitted, weak, strong)
    assert (found.alone(strong=False)[0], found.alone(strong=True)[0]) == pytest.approx((weak, strong))
    assert np.argsort(found.weak_accuracy).tolist() == np.argsort(fitted.weak_accuracy).tolist()
    assert found.strong_if_wrong < found.strong_if_right


def test_what_no_shift_reaches_is_met_as_nearly_as_possible() -> None:
    fitted = fit_transition(*rollouts(np.random.default_rng(0), 200, 8), 30)
    found = matched(fitted, 0.0, 1.0)
    assert found.alone(strong=False)[0] == pytest.approx(0, abs=0.01)
    assert found.alone(strong=True)[0] == pytest.approx(1, abs=0.01)
