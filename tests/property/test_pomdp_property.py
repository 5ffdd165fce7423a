"""What holds for any POMDP, belief and history."""

from itertools import product

import numpy as np
import pytest
from histories import step_by_step
from hypothesis import given, settings
from hypothesis import strategies as st
from pomdp_models import random_model, random_observed

from trim.routers.pomdp import belief
from trim.routers.pomdp.model import PomdpModel
from trim.routers.pomdp.policy import PomdpPolicy, likelihoods_of, regeneration_gain
from trim.routers.pomdp.solver import solve

seeds = st.integers(0, 2**32 - 1)


@given(seed=seeds, strong_scores=st.booleans())
@settings(max_examples=40)
def test_bounds_are_ordered_convex_and_rising(seed: int, strong_scores: bool) -> None:
    rng = np.random.default_rng(seed)
    model = random_model(rng, bins=int(rng.integers(1, 6)), steps=int(rng.integers(1, 7)), strong_scores=strong_scores)
    solution = solve(model, rng.uniform(0, 0.1, 3), grid=int(rng.integers(2, 60)))
    assert np.all(solution.lower <= solution.upper + 1e-12)
    assert np.all(np.diff(solution.upper, axis=-1) >= -1e-12)
    assert np.all(np.diff(solution.upper, 2, axis=-1) >= -1e-12)
    assert np.all(solution.lines[..., 1] >= solution.lines[..., 0] - 1e-12)
    assert np.all((solution.upper >= -1e-12) & (solution.upper <= model.reward + 1e-12))
    assert solution.upper[..., 0] == pytest.approx(0, abs=1e-12)


def brute_force(model: PomdpModel, steps: list[tuple[int, bool, int]], draft: int) -> np.ndarray:
    """Bayes' rule over all courses of an episode: which drafts were right, and which new steps."""
    transition, observation = model.transition, model.observation
    total = np.zeros(3)
    for course in product((True, False), repeat=2 * len(steps) + 1):
        probability, prefix_right = 1.0, True
        for position, (symbol, strong, strong_symbol) in enumerate(steps):
            draft_right, new_right = course[2 * position : 2 * position + 2]
            accuracy = transition.weak_accuracy[position]
            probability *= accuracy if draft_right else 1 - accuracy
            state = 1 if not prefix_right else 0 if draft_right else 2
            probability *= observation.draft[symbol, state]
            accuracy = transition.strong_if_right if draft_right else transition.strong_if_wrong
            probability *= accuracy if new_right else 1 - accuracy
            if strong:
                state = 1 if not prefix_right else 0 if new_right else 2
                probability *= observation.strong[strong_symbol, state]
            prefix_right &= new_right if strong else draft_right
        accuracy = transition.weak_accuracy[len(steps)]
        probability *= accuracy if course[-1] else 1 - accuracy
        state = 1 if not prefix_right else 0 if course[-1] else 2
        total[state] += probability * observation.draft[draft, state]
    return total / total.sum()


@given(seed=seeds, strong_scores=st.booleans())
@settings(max_examples=40)
def test_the_filter_is_bayes_rule(seed: int, strong_scores: bool) -> None:
    rng = np.random.default_rng(seed)
    model = random_model(rng, strong_scores=strong_scores)
    observation, transition = model.observation, model.transition
    count = int(rng.integers(0, 5))
    steps = [
        (int(rng.integers(4)), bool(rng.integers(2)), int(rng.integers(len(observation.strong)))) for _ in range(count)
    ]
    m = 1.0
    for position, (symbol, strong, strong_symbol) in enumerate(steps):
        seen = belief.posterior(
            belief.prior(m, transition.weak_accuracy[position]), likelihoods_of(observation.draft, symbol)
        )
        renewed = belief.regenerated(seen, transition.strong_if_right, transition.strong_if_wrong)
        after = belief.posterior(renewed, likelihoods_of(observation.strong, strong_symbol))
        m = after[0] if strong else belief.after_keep(seen)
    draft = int(rng.integers(4))
    seen = belief.posterior(belief.prior(m, transition.weak_accuracy[count]), likelihoods_of(observation.draft, draft))
    assert np.array(seen) == pytest.approx(brute_force(model, steps, draft), abs=1e-12)


@given(seed=seeds, strong_scores=st.booleans())
@settings(max_examples=30)
def test_one_episode_and_many_are_decided_alike(seed: int, strong_scores: bool) -> None:
    rng = np.random.default_rng(seed)
    model = random_model(rng, bins=5, steps=7, strong_scores=strong_scores)
    cost = float(rng.uniform(0, 0.05))
    policy = PomdpPolicy(model, solve(model, [cost], 40).upper[0], cost)
    observed = random_observed(rng, model, 40)
    alone = [policy.decide(step_by_step(observed, row))[0] for row in range(40)]
    assert policy.decide(observed).tolist() == alone


@given(seed=seeds)
@settings(max_examples=30)
def test_decisions_are_the_certified_ones(seed: int) -> None:
    rng = np.random.default_rng(seed)
    model = random_model(rng, bins=4, steps=5)
    cost = float(rng.uniform(0, 0.05))
    solution = solve(model, [cost], 30)
    drafts = rng.dirichlet(np.ones(3), 200)
    for step, tokens in product(range(5), (3, 9)):
        final = step == 4
        gain = regeneration_gain(model, solution.upper[0], cost, np.full(200, step), tuple(drafts.T), tokens, final)
        for belief_, chosen in zip(drafts, gain > 0, strict=True):
            keep, regenerate = q_bounds(model, solution, cost, step, belief_, tokens, final)
            if keep[1] < regenerate[0]:
                assert chosen
            if regenerate[1] < keep[0]:
                assert not chosen


def q_bounds(model, solution, cost, step, draft, tokens, final) -> tuple[tuple[float, float], tuple[float, float]]:
    """Lower and upper bound of both Q values, by the largest line and the chord."""

    def ahead(right: float, wrong: float) -> np.ndarray:
        total = right + wrong
        if final:
            return np.full(2, model.reward * right)
        lines = solution.lines[0, step + 1]
        lower = (wrong * lines[:, 0] + right * lines[:, 1]).max()
        return np.array([lower, total * np.interp(right / total, solution.grid, solution.upper[0, step + 1])])

    transition, strong = model.transition, model.observation.strong
    keep = ahead(draft[0], draft[1] + draft[2])
    right = transition.strong_if_right * draft[0] + transition.strong_if_wrong * draft[2]
    parts = (right, draft[1], draft[0] + draft[2] - right)
    regenerate = sum(ahead(parts[0] * row[0], parts[1] * row[1] + parts[2] * row[2]) for row in strong) - cost * tokens
    return tuple(keep), tuple(regenerate)
