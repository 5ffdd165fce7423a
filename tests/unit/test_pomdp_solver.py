"""Backward induction between certified bounds."""

import numpy as np
import pytest
from pomdp_models import random_model

from trim.errors import InputError
from trim.routers.pomdp.model import PomdpModel
from trim.routers.pomdp.solver import solve


def best_value(model: PomdpModel, cost: float, step: int, m: float) -> float:
    """V_s(m) as its definition says, over the tree of all that can be seen."""
    if step == model.max_steps:
        return 0.0
    transition, total = model.transition, 0.0
    keep, regenerate = model.joint_probabilities(transition.weak_accuracy[step])
    prior = np.array([1 - m, m])
    for final, p_final in ((True, transition.hazard[step]), (False, 1 - transition.hazard[step])):
        if p_final == 0:
            continue

        def ahead(mass: np.ndarray, final: bool = final) -> float:
            if final:
                return model.reward * mass[1]
            return mass.sum() * best_value(model, cost, step + 1, mass[1] / mass.sum())

        for symbol in range(len(keep)):
            kept = ahead(prior @ keep[symbol])
            renewed = sum(ahead(prior @ after) for after in regenerate[symbol])
            for tokens, weight in zip(transition.tokens, transition.token_weights, strict=True):
                paid = cost * tokens * (prior @ keep[symbol]).sum()
                total += p_final * weight * max(kept, renewed - paid)
    return total


@pytest.mark.parametrize("strong_scores", [True, False])
@pytest.mark.parametrize("seed", range(4))
def test_bounds_enclose_the_tree_of_all_beliefs(seed: int, strong_scores: bool) -> None:
    model = random_model(np.random.default_rng(seed), bins=2, steps=3, strong_scores=strong_scores)
    costs = [0.0, 0.01, 0.04]
    solution = solve(model, costs, grid=20)
    for index, cost in enumerate(costs):
        exact = np.array([[best_value(model, cost, s, m) for m in solution.grid] for s in range(4)])
        assert np.all(solution.upper[index] >= exact - 1e-12)
        assert np.all(solution.lower[index] <= exact + 1e-12)
        assert solution.upper[index] == pytest.approx(exact, abs=0.01)
        between = (solution.grid[1:] + solution.grid[:-1]) / 2
        for step in range(3):
            values = np.array([best_value(model, cost, step, m) for m in between])
            chord = np.interp(between, solution.grid, solution.upper[index, step])
            line = ((1 - between[:, None]) * solution.lines[index, step, :, 0]).T
            line = (line + (between[:, None] * solution.lines[index, step, :, 1]).T).max(0)
            assert np.all((line <= values + 1e-12) & (values <= chord + 1e-12))
            assert np.all(chord - line <= solution.gap[index, step] + 1e-12)


def test_a_finer_grid_shrinks_the_gap() -> None:
    model = random_model(np.random.default_rng(1), bins=6, steps=8)
    gaps = [solve(model, [0.01, 0.03], grid).gap.max() for grid in (50, 200, 800)]
    assert gaps[0] > 4 * gaps[1] > 16 * gaps[2]


def test_costs_are_solved_apart() -> None:
    model = random_model(np.random.default_rng(2))
    together = solve(model, [0.01, 0.02], 50)
    for index, cost in enumerate((0.01, 0.02)):
        alone = solve(model, [cost], 50)
        assert np.array_equal(together.upper[index], alone.upper[0])
        assert np.array_equal(together.lines[index], alone.lines[0])
    assert np.all(together.upper[0] >= together.upper[1])


def test_reward_is_a_unit() -> None:
    rng = np.random.default_rng(3)
    model = random_model(rng)
    hundred = PomdpModel(model.observation, model.transition, 100.0)
    assert solve(hundred, [1.0], 50).upper == pytest.approx(100 * solve(model, [0.01], 50).upper)


def test_free_steps_are_all_regenerated_and_dear_ones_never() -> None:
    model = random_model(np.random.default_rng(4))
    accuracy, hazard = model.transition.weak_accuracy, model.transition.hazard
    alive = np.cumprod(np.append(1, 1 - hazard[:-1]))
    weak_only = np.sum(alive * hazard * np.cumprod(accuracy))
    assert solve(model, [10.0]).upper[0, 0, -1] == pytest.approx(weak_only)


@pytest.mark.parametrize("cost", [-0.1, np.nan, np.inf])
def test_a_cost_must_be_a_number(cost: float) -> None:
    with pytest.raises(InputError, match="costs must be finite and not negative"):
        solve(random_model(np.random.default_rng(0)), [0.1, cost])
