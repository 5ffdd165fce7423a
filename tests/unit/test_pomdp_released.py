"""The released parameters, and how the official code decides.

Reference figures are of an independent implementation of the official rule on the official model: exact
evaluation for memoryless rules, certified bounds for the optimum. It rounds the accuracies to .866 and .9704
and discounts by 1e-6 a step, which moves rewards by up to 0.02 of 100, and near-ties of the rule by up to 0.08.
"""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from histories import step_by_step
from pomdp_models import random_model, random_observed

from trim.checks.memoryless import MemorylessPolicies
from trim.checks.released_parameters import published_model
from trim.checks.simulator import play
from trim.config.routers import PomdpRouter
from trim.errors import InputError
from trim.routers.pomdp.model import PomdpModel
from trim.routers.pomdp.policy import PomdpPolicy
from trim.routers.pomdp.released import ReleasedPolicy, with_late_hazard
from trim.routers.pomdp.solver import Solution, solve

PUBLISHED = Path(__file__).parents[2] / "data" / "published"
COSTS = [0.05, 0.25, 0.45, 0.75]
CLOSENESS = PomdpRouter().closeness


@pytest.fixture(scope="module")
def official() -> PomdpModel:
    return with_late_hazard(published_model(PUBLISHED))


@pytest.fixture(scope="module")
def solution(official: PomdpModel) -> Solution:
    return solve(official, COSTS)


def mean_length(model: PomdpModel) -> float:
    return float(np.cumprod(np.append(1, 1 - model.transition.hazard[:-1])).sum())


def test_the_late_hazard_makes_solutions_a_step_longer(official: PomdpModel) -> None:
    right = published_model(PUBLISHED)
    assert (right.max_steps, official.max_steps) == (30, 31)
    assert (mean_length(right), mean_length(official)) == pytest.approx((7.84, 8.84), abs=0.005)


def test_the_optimum_is_certified(solution: Solution) -> None:
    assert solution.gap.max() < 0.01
    assert solution.upper[:, 0, -1] == pytest.approx([82.921, 63.938, 48.784, 35.154], abs=0.02)


def test_the_official_rule_earns_its_reference_figures(official: PomdpModel, solution: Solution) -> None:
    policies = MemorylessPolicies(official)
    found = []
    for index, cost in enumerate(COSTS):
        policy = ReleasedPolicy(official, solution.upper[index], cost, CLOSENESS, token_bin=50)
        found.append(policies.evaluate(policies.tabulate(policy.decide_symbols), cost))
    assert [worth.net_reward for worth in found] == pytest.approx([78.51, 59.08, 41.56, 26.63], abs=0.1)
    assert [worth.accuracy for worth in found] == pytest.approx([0.837, 0.836, 0.825, 0.708], abs=0.003)
    assert [worth.strong_tokens for worth in found] == pytest.approx([104, 98, 91, 59], abs=0.6)


def test_the_best_threshold_earns_its_reference_figures(official: PomdpModel) -> None:
    policies = MemorylessPolicies(official)
    rewards, accuracies, tokens = [], [], []
    for cost in COSTS:
        worths = [policies.evaluate(policies.threshold(k), cost) for k in range(21)]
        best = max(worths, key=lambda worth: worth.net_reward)
        rewards.append(best.net_reward)
        accuracies.append(best.accuracy)
        tokens.append(best.strong_tokens)
        assert worths[0].net_reward == pytest.approx(31.78, abs=0.02)
        assert best.net_reward <= policies.best(cost)[0].net_reward + 1e-9
    assert rewards == pytest.approx([82.04, 58.44, 37.32, 31.78], abs=0.02)
    assert accuracies[:3] == pytest.approx([0.884, 0.865, 0.825], abs=0.001)
    assert tokens == pytest.approx([128, 112, 100, 0], abs=0.5)


def test_the_filter_earns_its_value_on_single_scores() -> None:
    model = published_model(PUBLISHED, "scores")
    assert model.observation.draft.shape == (20, 3)
    solution = solve(model, [0.25])
    played = play(model, PomdpPolicy(model, solution.upper[0], 0.25).decide, 0.25, 50_000, 0)
    assert played.net_reward == pytest.approx(solution.upper[0, 0, -1], abs=4 * played.standard_error)
    with pytest.raises(InputError, match="single scores"):
        PomdpPolicy(published_model(PUBLISHED), solution.upper[0], 0.25)


def test_the_rule_reads_score_lowest_score_and_position(official: PomdpModel, solution: Solution) -> None:
    observed = random_observed(np.random.default_rng(0), official, 300)
    policy = ReleasedPolicy(official, solution.upper[1], 0.25, CLOSENESS)
    decisions = policy.decide(replace(observed, tokens=np.full_like(observed.tokens, 60)))
    for row in range(300):
        position = observed.position[[row]]
        minimum = observed.scores[row, : position[0]].min(initial=1.0)
        symbol = np.array([20 * min(int(minimum * 20), 19) + int(observed.score[row] * 20)])
        assert decisions[row] == policy.decide_symbols(position, symbol, 60)
        alone = policy.decide(step_by_step(observed, row))
        assert alone == policy.decide_symbols(position, symbol, observed.draft_tokens[[row]])
    assert 0 < decisions.sum() < 300


def test_the_mask_keeps_drafts_that_are_not_nearly_wrong(official: PomdpModel, solution: Solution) -> None:
    observed = random_observed(np.random.default_rng(1), official, 2000)
    decisions = [
        ReleasedPolicy(official, solution.upper[0], 0.05, closeness).decide(observed) for closeness in (0, 0.4, 1.1)
    ]
    assert not decisions[0].any()
    assert np.all(decisions[2][decisions[1]])
    assert decisions[1].sum() < decisions[2].sum()


def test_token_bins_round_down() -> None:
    model = random_model(np.random.default_rng(2))
    values = solve(model, [0.02]).upper[0]
    exact, binned = (ReleasedPolicy(model, values, 0.02, 1.1, token_bin) for token_bin in (0.0, 50.0))
    first, symbols = np.zeros(4, dtype=np.int64), np.arange(4)
    for tokens in (50, 99):
        assert (
            binned.decide_symbols(first, symbols, tokens).tolist() == exact.decide_symbols(first, symbols, 50).tolist()
        )
    assert binned.decide_symbols(first, symbols, 49).tolist() == exact.decide_symbols(first, symbols, 0).tolist()
