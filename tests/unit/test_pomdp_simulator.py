"""Episodes drawn from the model, and the best memoryless policies in it."""

from dataclasses import replace

import numpy as np
import pytest
from pomdp_models import random_model

from trim.checks.memoryless import MemorylessPolicies
from trim.checks.simulator import Simulator, play
from trim.errors import InputError
from trim.rollout.history import Observed
from trim.routers.pomdp.model import PomdpModel
from trim.routers.pomdp.policy import PomdpPolicy
from trim.routers.pomdp.solver import solve


@pytest.mark.parametrize("strong_scores", [True, False])
@pytest.mark.parametrize("seed", range(3))
def test_a_solved_policy_earns_its_certified_value(seed: int, strong_scores: bool) -> None:
    model = random_model(np.random.default_rng(seed), bins=8, steps=10, strong_scores=strong_scores)
    for cost in (0.005, 0.02):
        solution = solve(model, [cost])
        played = play(model, PomdpPolicy(model, solution.upper[0], cost).decide, cost, 40_000, seed)
        assert solution.gap.max() < 1e-3
        assert played.net_reward == pytest.approx(solution.upper[0, 0, -1], abs=4 * played.standard_error)
        assert played.net_reward == pytest.approx(played.accuracy - cost * played.strong_tokens)


def test_episodes_start_apart_and_draw_what_the_model_says() -> None:
    model = random_model(np.random.default_rng(3), bins=5, steps=6)
    transition, observation = model.transition, model.observation
    world = Simulator(model, 100_000, np.random.default_rng(0))
    first = world.drafts()
    accuracy = transition.weak_accuracy[0]
    expected = accuracy * observation.draft[:, 0] + (1 - accuracy) * observation.draft[:, 2]
    counted = np.bincount(observation.index(first.score), minlength=5) / 100_000
    assert counted == pytest.approx(expected, abs=0.006)
    assert first.final.mean() == pytest.approx(transition.hazard[0], abs=0.006)
    assert (first.tokens == 3).mean() == pytest.approx(transition.token_weights[0], abs=0.006)
    assert not first.position.any()

    outcome = world.act(np.ones(100_000, dtype=bool))
    fixed = transition.strong_if_right * accuracy + transition.strong_if_wrong * (1 - accuracy)
    strong = fixed * observation.strong[:, 0] + (1 - fixed) * observation.strong[:, 2]
    counted = np.bincount(observation.index(outcome.kept_score), minlength=5) / 100_000
    assert counted == pytest.approx(strong, abs=0.006)
    assert np.array_equal(outcome.strong_tokens, first.tokens)
    assert np.array_equal(outcome.ended, first.final)
    assert outcome.correct[outcome.ended].mean() == pytest.approx(fixed, abs=0.01)
    assert not outcome.correct[~outcome.ended].any()

    ended = np.flatnonzero(outcome.ended)
    world.start(ended)
    second = world.drafts()
    assert np.array_equal(second.position, 1 - outcome.ended)
    kept = world.act(np.zeros(100_000, dtype=bool))
    assert np.array_equal(kept.kept_score, second.score) and not kept.strong_tokens.any()


def test_a_seed_fixes_all_draws() -> None:
    model = random_model(np.random.default_rng(4))

    def scores(seed: int) -> list[float]:
        world = Simulator(model, 50, np.random.default_rng(seed))
        return [*world.drafts().score, *world.act(np.arange(50) % 2 == 0).kept_score]

    assert scores(1) == scores(1) != scores(2)


def test_pairs_are_not_simulated() -> None:
    model = random_model(np.random.default_rng(5))
    pairs = replace(model.observation, draft=np.full((16, 3), 1 / 16))
    with pytest.raises(InputError, match="alphabet must be of single scores"):
        Simulator(PomdpModel(pairs, model.transition), 3, np.random.default_rng(0))


def decide_by_table(policies: MemorylessPolicies, table: np.ndarray):
    """Read TRIM-Agg's features from the arrays, and look the decision up."""
    observation, tokens = policies.model.observation, policies.model.transition.tokens

    def decide(observed: Observed) -> np.ndarray:
        rows, position = np.arange(len(observed.position)), observed.position
        scores = observed.scores
        minimum = np.where(np.arange(scores.shape[1]) < position[:, None], scores, 1.0).min(1)
        count = np.searchsorted(tokens, observed.tokens[rows, position])
        return table[position, observation.index(minimum), observation.index(scores[rows, position]), count]

    return decide


@pytest.mark.parametrize("strong_scores", [True, False])
def test_exact_worth_is_that_of_simulated_episodes(strong_scores: bool) -> None:
    rng = np.random.default_rng(6)
    model = random_model(rng, steps=6, strong_scores=strong_scores)
    policies = MemorylessPolicies(model)
    for table in (rng.random(policies.shape) < 0.5, policies.threshold(2), policies.best(0.01)[1]):
        worth = policies.evaluate(table, 0.01)
        played = play(model, decide_by_table(policies, table), 0.01, 40_000, 1)
        assert played.net_reward == pytest.approx(worth.net_reward, abs=4 * played.standard_error)
        assert played.accuracy == pytest.approx(worth.accuracy, abs=0.01)
        assert played.strong_tokens == pytest.approx(worth.strong_tokens, abs=0.15)


def test_a_router_on_the_features_is_its_table() -> None:
    rng = np.random.default_rng(9)
    policies = MemorylessPolicies(random_model(rng, steps=4))
    table = rng.random(policies.shape) < 0.5
    written = policies.tabulate_router(decide_by_table(policies, table))
    assert np.array_equal(written[1:], table[1:])
    assert np.array_equal(written[0, -1], table[0, -1])  # at the first step there is no lowest score but 1


@pytest.mark.parametrize("seed", range(5))
def test_the_best_memoryless_policy_lies_between_thresholds_and_the_optimum(seed: int) -> None:
    model = random_model(np.random.default_rng(seed), bins=6, steps=7)
    policies = MemorylessPolicies(model)
    for cost in (0.005, 0.03):
        worth, table = policies.best(cost)
        thresholds = [policies.evaluate(policies.threshold(k), cost).net_reward for k in range(7)]
        optimum = solve(model, [cost]).upper[0, 0, -1]
        assert max(thresholds) < worth.net_reward < optimum  # of random likelihoods, the order means nothing
        better = policies.evaluate(policies.improve(table, cost), cost).net_reward
        assert better == pytest.approx(worth.net_reward, abs=1e-8)


def test_no_single_decision_improves_the_best_policy() -> None:
    model = random_model(np.random.default_rng(7), bins=3, steps=3)
    policies = MemorylessPolicies(model)
    worth, table = policies.best(0.01)
    for place in np.ndindex(policies.shape):
        other = table.copy()
        other[place] ^= True
        assert policies.evaluate(other, 0.01).net_reward <= worth.net_reward + 1e-8


def test_the_ends_of_the_thresholds_are_the_two_models() -> None:
    model = random_model(np.random.default_rng(8))
    policies = MemorylessPolicies(model)
    transition = model.transition
    alive = np.cumprod(np.append(1, 1 - transition.hazard[:-1]))
    weak, strong = (policies.evaluate(policies.threshold(k), 0.0) for k in (0, 4))
    assert weak.accuracy == pytest.approx(np.sum(alive * transition.hazard * np.cumprod(transition.weak_accuracy)))
    assert weak.strong_tokens == 0
    assert strong.strong_tokens == pytest.approx(alive.sum() * transition.tokens @ transition.token_weights)
    assert strong.accuracy > weak.accuracy


@pytest.mark.parametrize("strong", [False, True])
def test_what_a_model_alone_is_expected_to_do_is_what_it_does(strong: bool) -> None:
    model = random_model(np.random.default_rng(3))
    played = play(model, lambda observed: np.full(len(observed.position), strong), 0.0, 40_000, 1)
    right, tokens = model.transition.alone(strong)
    assert right == pytest.approx(played.accuracy, abs=4 * played.standard_error)
    assert strong * tokens == pytest.approx(played.strong_tokens, rel=0.02)
