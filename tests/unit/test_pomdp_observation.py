"""Likelihoods of PRM scores."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import gaussian_kde, norm

from trim.errors import InputError
from trim.routers.pomdp.observation import (
    FLOOR,
    ObservationModel,
    binned_density,
    fit_observation,
    floored,
    quantile_edges,
    reflected_masses,
)


def piled_scores(rng: np.random.Generator, count: int, sharpness: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
    """Scores that pile up at 0 and 1, as those of a good PRM do, and their states."""
    states = rng.choice(3, count, p=[0.7, 0.1, 0.2])
    logits = np.array([7.0, 1.0, -2.0])[states] * sharpness + rng.normal(0, 2.5, count)
    return 1 / (1 + np.exp(-logits)), states


def test_a_kernel_keeps_its_mass_between_0_and_1() -> None:
    edges = np.array([0, 0.1, 0.5, 1])
    masses = reflected_masses(np.array([0.0, 0.5, 0.93]), edges, 0.1)
    assert masses.sum(1) == pytest.approx(1)
    assert masses[0] == pytest.approx(np.diff(2 * norm.cdf(edges / 0.1)), abs=1e-9)  # a folded normal distribution
    assert masses[1] == pytest.approx(np.diff(norm.cdf((edges - 0.5) / 0.1)), abs=1e-5)


def test_even_bins_hold_the_reflected_kernel_density_of_scipy() -> None:
    samples = np.random.default_rng(0).beta(2, 0.6, 500)
    edges = np.linspace(0, 1, 21)
    kernel = gaussian_kde(np.concatenate([samples, -samples, 2 - samples]))
    kernel.set_bandwidth(samples.std(ddof=1) * 500**-0.2 / np.concatenate([samples, -samples, 2 - samples]).std(ddof=1))
    expected = [3 * kernel.integrate_box_1d(a, b) for a, b in zip(edges, edges[1:], strict=False)]
    assert binned_density(samples[:, None], edges) == pytest.approx(expected, rel=0.01)


def test_a_density_of_pairs_has_the_margins_of_its_features() -> None:
    rng = np.random.default_rng(1)
    current = rng.uniform(0, 1, 4000)
    pairs = np.stack([np.minimum(current, rng.uniform(0, 1, 4000)), current], axis=1)
    edges = np.linspace(0, 1, 6)
    joint = binned_density(pairs, edges).reshape(5, 5)
    assert joint.sum() == pytest.approx(1)
    assert joint.sum(1) == pytest.approx(np.histogram(pairs[:, 0], edges)[0] / 4000, abs=0.02)
    assert joint.sum(0) == pytest.approx(np.histogram(pairs[:, 1], edges)[0] / 4000, abs=0.02)
    assert joint[4, 0] < 0.002 < 0.03 < joint[0, 0]  # the lowest score so far lies below the current one


def test_quantile_bins_hold_equally_many_scores() -> None:
    scores, _ = piled_scores(np.random.default_rng(2), 5000)
    edges = quantile_edges(scores, 25)
    assert (edges[0], edges[-1], len(edges)) == (0, 1, 26)
    assert np.histogram(scores, edges)[0] == pytest.approx(200, abs=1)
    ties = quantile_edges(np.repeat([0.1, 0.5, 0.7], [5, 90, 6]), 10)
    assert ties.tolist() == [0, 0.5, 1]
    assert quantile_edges(np.ones(7)).tolist() == [0, 1]


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("sharpness", [1.0, 1.5])
def test_quantile_bins_tell_states_apart_better_than_even_ones(seed: int, sharpness: float) -> None:
    rng = np.random.default_rng(seed)
    train, test = piled_scores(rng, 4000, sharpness), piled_scores(rng, 20_000, sharpness)

    def log_loss(spacing: str) -> float:
        model = fit_observation(*train, spacing=spacing)
        likelihood = model.draft[model.index(test[0])] * np.bincount(train[1]) / 4000
        return -np.mean(np.log(likelihood[np.arange(20_000), test[1]] / likelihood.sum(1)))

    assert log_loss("quantile") < log_loss("even") - 0.01


def test_fitted_likelihoods_are_those_that_the_scores_were_drawn_from() -> None:
    rng = np.random.default_rng(3)
    states = rng.integers(0, 3, 60_000)
    scores = rng.beta(np.array([8, 2, 1])[states], np.array([1, 2, 6])[states])
    model = fit_observation(scores, states, scores[:9000], states[:9000], spacing="even", bins=10)
    for state in range(3):
        shares = np.histogram(scores[states == state], model.edges)[0] / np.sum(states == state)
        assert model.draft[:, state] == pytest.approx(shares, abs=0.015)
        assert model.strong[:, state] == pytest.approx(shares, abs=0.03)
    assert model.draft.min() >= FLOOR / 10


def test_a_state_that_the_strong_model_never_had_borrows_the_drafts() -> None:
    scores, states = piled_scores(np.random.default_rng(4), 3000)
    right = states == 0
    model = fit_observation(scores, states, scores[right], states[right])
    assert model.strong[:, 1:] == pytest.approx(model.draft[:, 1:])
    assert len(fit_observation(scores, states).strong) == 1
    joint = fit_observation(scores, states, scores, states, minima=scores, bins=8)
    assert (joint.draft.shape, joint.strong.shape, joint.joint) == ((64, 3), (8, 3), True)


def test_scores_are_put_into_bins() -> None:
    table = np.full((4, 3), 0.25)
    model = ObservationModel(np.array([0, 0.2, 0.5, 0.9, 1]), table, table)
    scores = np.array([0, 0.19, 0.2, 0.5, 0.899, 0.9, 1])
    assert model.index(scores).tolist() == [0, 0, 1, 2, 2, 3, 3]
    assert [model.index(float(score)) for score in scores] == [0, 0, 1, 2, 2, 3, 3]
    assert model.index(model.centres).tolist() == [0, 1, 2, 3]
    assert (model.draft_symbol(0.6, 0.3), model.strong_symbol(0.6)) == (2, 2)
    pairs = replace(model, draft=np.full((16, 3), 1 / 16), strong=np.ones((1, 3)))
    assert (pairs.draft_symbol(0.6, 0.3), pairs.strong_symbol(0.6)) == (1 * 4 + 2, 0)


HALVES = np.full((2, 3), 0.5)


@pytest.mark.parametrize(
    ("edges", "draft", "strong", "sentence"),
    [
        ([0, 0.5, 0.5, 1], np.full((3, 3), 1 / 3), np.ones((1, 3)), "edges must rise from 0 to 1"),
        ([0.1, 0.5, 1], HALVES, HALVES, "edges must rise from 0 to 1"),
        ([0, 0.5, 1], np.full((3, 3), 1 / 3), HALVES, r"draft likelihoods have shape \(3, 3\), but 2 bins need 2 or 4"),
        ([0, 0.5, 1], HALVES, np.full((3, 3), 1 / 3), r"strong likelihoods have shape \(3, 3\)"),
        ([0, 0.5, 1], HALVES * 0.9, HALVES, r"column of the draft likelihoods .* sums are \[0.9, 0.9, 0.9\]"),
        ([0, 0.5, 1], HALVES, np.array([[0, 0.5, 0.5], [1, 0.5, 0.5]]), "strong likelihoods must be positive"),
    ],
)
def test_a_table_that_is_no_distribution_is_refused(edges, draft, strong, sentence: str) -> None:
    with pytest.raises(InputError, match=sentence):
        ObservationModel(np.array(edges), draft, strong)


@pytest.mark.parametrize(
    ("scores", "states", "sentence"),
    [
        ([0.1, 1.2, 0.3], [0, 1, 2], "score 1.2 of drafts, row 1, is not in"),
        ([0.1, 0.2, np.nan], [0, 1, 2], "score nan of drafts, row 2"),
        ([0.1, 0.2, 0.3], [0, 1, 3], "states of drafts must be 0, 1 or 2"),
        ([0.1, 0.2], [0, 1, 2], "2 scores but 3 states"),
    ],
)
def test_bad_scores_get_a_sentence(scores: list, states: list, sentence: str) -> None:
    with pytest.raises(InputError, match=sentence):
        fit_observation(np.array(scores), np.array(states))


def test_floors_spread_a_share_evenly() -> None:
    assert floored(np.array([[0.0, 2], [1, 2]]), 0.1) == pytest.approx(np.array([[0.05, 0.5], [0.95, 0.5]]))
