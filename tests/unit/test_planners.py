"""Planners side by side: POUCT where the optimum is known, what episodes say of a planner, the rows of the table."""

import random
import sys
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pomdp_py
import pytest
from figure_inputs import solved_pomdp
from pomdp_models import random_model
from pomdp_tree import tree_values

from trim.checks.export import draft_state, flatten
from trim.checks.memoryless import MemorylessPolicies
from trim.checks.planners import (
    COLUMNS,
    Generative,
    Pouct,
    Rollouts,
    at_random,
    below,
    compare,
    nearest,
    watch,
    with_distinct_counts,
)
from trim.config.experiment import Planners
from trim.errors import InputError
from trim.routers.pomdp.model import PomdpModel
from trim.routers.pomdp.policy import PomdpPolicy
from trim.routers.pomdp.solver import solve

COST = 0.03
QUICK = Planners(kappas=(0.1, 1.0), simulations=(2, 6), episodes=3)
DRAFTS = ((0.9, 0.05, 0.05), (0.05, 0.05, 0.9), (0.1, 0.85, 0.05), (0.4, 0.2, 0.4))


def exact_policy(model: PomdpModel) -> PomdpPolicy:
    return PomdpPolicy(model, solve(model, [COST]).upper[0], COST)


@pytest.mark.parametrize("rollouts", ["random", "threshold"])
def test_pouct_with_many_simulations_decides_as_the_tree_of_all_beliefs(rollouts: str) -> None:
    model = random_model(np.random.default_rng(2), bins=2, steps=2, tokens=(4,))
    world = Generative(flatten(model, COST))
    rule = at_random if rollouts == "random" else below(1, model)
    pouct = Pouct(exact_policy(model), world, Rollouts(world.actions, rule), 3000)
    random.seed(0)
    clear = []
    for belief in DRAFTS:
        for position, final in ((0, False), (1, True)):
            keep, regenerate = tree_values(model, COST, position, belief, 0, final)
            if abs(regenerate - keep) > 0.03:
                clear.append(regenerate > keep)
                assert pouct.plan(belief, position, final, 0) == clear[-1], (belief, position)
    assert len(clear) >= 4 and {True, False} == set(clear)


def test_what_is_drawn_is_the_flat_pomdp() -> None:
    model = random_model(np.random.default_rng(3), bins=2, steps=2, tokens=(3, 9))
    flat, count = flatten(model, COST), 20_000
    world = Generative(flat)
    state = draft_state(model, 0, 2, False, 1)
    random.seed(1)
    for action in (0, 1):
        drawn = [world.sample(world.states[state], world.actions[action]) for _ in range(count)]
        pairs = Counter((after.data, seen.data) for after, seen, _, _ in drawn)
        expected = flat.transition[action, state][:, None] * flat.emission[action]
        found = np.zeros_like(expected)
        for place, times in pairs.items():
            found[place] = times / count
        assert found == pytest.approx(expected, abs=0.015)
        assert {reward for _, _, reward, _ in drawn} == {flat.reward[action, state]}
    end = world.states[flat.states.index("end")]
    assert world.sample(end, world.actions[1])[::2] == (end, 0.0)


def test_threshold_rollouts_read_the_score_of_the_draft_seen_last() -> None:
    model = random_model(np.random.default_rng(4), bins=3, steps=2)
    regenerates, seen = below(2, model), flatten(model, COST).observations
    for index, name in enumerate(seen[:-1]):
        history = ((None, pomdp_py.SimpleObservation(index)),)
        assert regenerates(history) == (int(name[1]) < 2), name
    assert not regenerates(())


@pytest.mark.parametrize("strong_scores", [True, False])
def test_losses_of_decisions_say_what_a_threshold_is_worth(strong_scores: bool) -> None:
    model = random_model(np.random.default_rng(5), bins=4, steps=5, strong_scores=strong_scores)
    exact, policies = exact_policy(model), MemorylessPolicies(model)
    worth = policies.evaluate(policies.threshold(2), COST).net_reward
    played = watch(lambda seen: model.observation.index(seen.score) < 2, exact, 600, 0)
    found, error = exact.values[0, -1] - played.losses.mean(), played.losses.std() / np.sqrt(600)
    assert found == pytest.approx(worth, abs=4 * error)
    assert error < played.rewards.std() / np.sqrt(600) / 2
    assert played.rewards.mean() == pytest.approx(worth, abs=4 * played.rewards.std() / np.sqrt(600))
    assert 0 < played.agreed < played.decisions


def test_the_table_is_the_same_whenever_it_is_computed() -> None:
    def table(seed: int) -> list[list[object]]:
        return [[row.get(name) for name in COLUMNS] for row in compare(solved_pomdp(), QUICK, seed, 0.95)]

    assert table(1) == table(1) != table(2)


def test_every_planner_has_a_row_a_kappa() -> None:
    solved = solved_pomdp()
    rows = list(compare(solved, QUICK, 0, 0.95))
    pouct = [("pouct", name, count) for name in ("random", "threshold") for count in (2, 6)]
    planners = [("exact", None, None), ("threshold", None, None), *pouct, ("sarsop", None, None)]
    named = [(row["planner"], row.get("rollouts"), row.get("simulations")) for row in rows]
    assert named == 2 * planners
    for index, row in zip((0, 1), rows[:: len(planners)], strict=True):
        value = solved.values[index, 0, -1]
        assert (row["value"], row["value_hi"], row["agreement"]) == (value, value, 1)
        assert row["value_lo"] == pytest.approx(value - solved.gap[index, 0])
        policies = MemorylessPolicies(solved.model)
        worths = [policies.evaluate(policies.threshold(k), float(solved.costs[index])).net_reward for k in range(5)]
        threshold = rows[index * len(planners) + 1]
        assert (threshold["value_lo"], threshold["value_hi"]) == pytest.approx((max(worths), max(worths)))
    for row in rows:
        if row["planner"] == "sarsop":
            assert row["reason"] == "planners.sarsop names no pomdpsol" and "value" not in row
        else:
            assert row["value_lo"] <= row["value"] <= row["value_hi"]
            assert row["seconds"] > 0


def test_sarsop_has_a_value_where_its_program_is_named(tmp_path: Path) -> None:
    solved = solved_pomdp()
    model = with_distinct_counts(solved.model)
    solver = tmp_path / "pomdpsol"
    vector = "0.5 " * len(flatten(model, COST).states)
    policy = f"<Policy><AlphaVector><Vector action='0' obsValue='0'>{vector}</Vector></AlphaVector></Policy>"
    solver.write_text(
        f"#!{sys.executable}\nimport sys, pathlib\n"
        f'pathlib.Path(sys.argv[sys.argv.index("--output") + 1]).write_text({policy!r})\n'
    )
    solver.chmod(0o755)
    once = Planners(kappas=(1.0,), simulations=(1,), rollouts=("random",), episodes=2, sarsop=str(solver))
    assert list(compare(solved, once, 0, 0.95))[-1]["value"] == 0.5
    with pytest.raises(InputError, match="nowhere: no such program"):
        list(compare(solved, once.model_copy(update={"sarsop": "nowhere"}), 0, 0.95))


def test_counts_that_stand_twice_become_one() -> None:
    model = random_model(np.random.default_rng(6), tokens=(3, 9))
    steps = model.transition
    weights = np.append(steps.token_weights[0], 2 * [steps.token_weights[1] / 2])
    twice = replace(steps, tokens=np.array([3.0, 9, 9]), token_weights=weights)
    found = with_distinct_counts(replace(model, transition=twice))
    assert found.transition.tokens.tolist() == [3, 9]
    assert found.transition.token_weights == pytest.approx(steps.token_weights)


def test_wanted_kappas_become_solved_ones_each_once() -> None:
    assert nearest(np.array([0.1, 1.0, 5.0]), (2.0, 0.01, 0.9, 100)) == [0, 1, 2]
