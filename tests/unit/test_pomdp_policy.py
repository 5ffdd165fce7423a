"""TRIM-POMDP as a router, on disk and at work."""

import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from histories import first_drafts, step_by_step
from pomdp_models import random_model, random_observed

from trim.errors import InputError
from trim.files import write_arrays
from trim.models.protocols import ModelPair
from trim.problems.problem import Problem
from trim.rollout.engine import Run, solve_all
from trim.routers.pomdp.disk import FILE, SolvedPomdp, load_solved, save_solved
from trim.routers.pomdp.model import PomdpModel
from trim.routers.pomdp.policy import PomdpPolicy
from trim.routers.pomdp.solver import Solution, solve

KAPPAS = [0.1, 0.4, 1.6]
COSTS = [kappa / 40 for kappa in KAPPAS]


@pytest.fixture(scope="module")
def model() -> PomdpModel:
    return random_model(np.random.default_rng(0), bins=6, steps=8)


@pytest.fixture(scope="module")
def solution(model: PomdpModel) -> Solution:
    return solve(model, COSTS, 100)


def solved(model: PomdpModel, solution: Solution, **origin: str) -> SolvedPomdp:
    return SolvedPomdp(model, np.array(KAPPAS), solution.costs, solution.upper, solution.gap, origin)


def policy_of(model: PomdpModel, solution: Solution, index: int = 1) -> PomdpPolicy:
    return PomdpPolicy(model, solution.upper[index], COSTS[index])


def test_one_history_and_many_are_the_same_and_columns_beyond_mean_nothing(
    model: PomdpModel, solution: Solution
) -> None:
    observed = random_observed(np.random.default_rng(1), model, 50)
    policy = policy_of(model, solution)
    decisions = policy.decide(observed)
    for row in range(50):
        one = step_by_step(observed, row)
        upto = np.s_[: observed.position[row] + 1]
        for name in ("scores", "draft_scores", "tokens", "strong"):
            assert getattr(one, name)[0, upto].tolist() == getattr(observed, name)[row, upto].tolist()
        assert (one.position[0], one.final[0]) == (observed.position[row], observed.final[row])
        assert policy.decide(one)[0] == decisions[row]
    beyond = np.arange(model.max_steps) > observed.position[:, None]
    spoiled = replace(
        observed,
        scores=np.where(beyond, np.nan, observed.scores),
        draft_scores=np.where(beyond, np.nan, observed.draft_scores),
        strong=observed.strong | beyond,
    )
    assert policy.decide(spoiled).tolist() == decisions.tolist()
    assert 0 < decisions.sum() < 50


def test_no_history_is_decided(model: PomdpModel, solution: Solution) -> None:
    none = random_observed(np.random.default_rng(2), model, 0)
    assert policy_of(model, solution).decide(none).shape == (0,)


def test_cheaper_drafts_are_regenerated_first(model: PomdpModel, solution: Solution) -> None:
    observed = random_observed(np.random.default_rng(3), model, 400)
    shares = []
    for tokens in (1, 10, 100):
        same = replace(observed, tokens=np.full_like(observed.tokens, tokens))
        shares.append(policy_of(model, solution).decide(same).mean())
    assert shares[0] > shares[1] > shares[2]
    free = PomdpPolicy(model, solution.upper[0], 0.0).decide(observed)
    assert free.mean() > policy_of(model, solution, 0).decide(observed).mean()


def test_a_final_draft_is_worth_its_own_answer(model: PomdpModel) -> None:
    certain = replace(model.transition, strong_if_right=1.0, strong_if_wrong=1.0, weak_accuracy=np.full(8, 0.5))
    certain_model = PomdpModel(model.observation, certain)
    table = model.observation.draft
    score = float(model.observation.centres[2])
    wrong = table[2, 2] / (table[2, 0] + table[2, 2])  # at the first step nothing else is possible
    for cost, regenerates in ((wrong / 10 - 1e-6, True), (wrong / 10 + 1e-6, False)):
        policy = PomdpPolicy(certain_model, np.zeros((9, 11)), cost)
        assert policy.decide(first_drafts([score], final=True)).tolist() == [regenerates]
    assert not PomdpPolicy(certain_model, np.zeros((9, 11)), 0.0).decide(first_drafts([score])).any()


def test_the_last_possible_step_counts_as_final(model: PomdpModel, solution: Solution) -> None:
    observed = random_observed(np.random.default_rng(4), model, 200)
    observed = replace(observed, position=np.full(200, model.max_steps - 1))
    policy = policy_of(model, solution)
    final, going_on = (policy.decide(replace(observed, final=np.full(200, is_final))) for is_final in (True, False))
    assert final.tolist() == going_on.tolist()


def test_an_episode_runs_in_the_engine(
    model: PomdpModel,
    solution: Solution,
    scripted_pair: Callable[[], ModelPair],
    make_problems: Callable[[int], list[Problem]],
) -> None:
    policy = policy_of(model, solution, 0)
    episodes = solve_all([Run(p, policy, 0) for p in make_problems(30)], scripted_pair(), model.max_steps)
    calls = sum(episode.costs.strong_calls for episode in episodes)
    assert 0 < calls < sum(len(episode.kept) for episode in episodes)


def test_a_longer_episode_gets_a_sentence(model: PomdpModel, solution: Solution) -> None:
    observed = random_observed(np.random.default_rng(5), random_model(np.random.default_rng(0), steps=9), 1)
    observed = replace(observed, position=np.array([8]))
    with pytest.raises(InputError, match="step 9 of an episode, but it was solved for at most 8"):
        policy_of(model, solution).decide(observed)
    with pytest.raises(InputError, match="step 9 of an episode"):
        policy_of(model, solution).decide(step_by_step(observed, 0))


def test_pairs_are_not_filtered(model: PomdpModel) -> None:
    pairs = replace(model.observation, draft=np.full((36, 3), 1 / 36))
    with pytest.raises(InputError, match="needs an observation model of single scores"):
        PomdpPolicy(PomdpModel(pairs, model.transition), np.zeros((9, 11)), 0.1)


FRESH = """
import json, sys
import numpy as np
from trim.rollout.history import Observed
from trim.routers.pomdp.policy import PomdpPolicy
from trim.routers.pomdp.disk import load_solved
with np.load(sys.argv[2]) as file:
    observed = Observed(**file)
solved = load_solved(sys.argv[1])
decisions = [PomdpPolicy(*solved.at(kappa)).decide(observed).tolist() for kappa in solved.kappas]
print(json.dumps([decisions, solved.origin, "torch" in sys.modules]))
"""


def test_a_fresh_process_decides_the_same(model: PomdpModel, solution: Solution, tmp_path: Path) -> None:
    observed = random_observed(np.random.default_rng(6), model, 100)
    save_solved(tmp_path / "default.0", solved(model, solution, trained_on="arith"))
    names = ("scores", "draft_scores", "tokens", "strong", "position", "final")
    np.savez(tmp_path / "observed.npz", **{name: getattr(observed, name) for name in names})
    command = [sys.executable, "-c", FRESH, tmp_path / "default.0", tmp_path / "observed.npz"]
    decisions, origin, torch = json.loads(subprocess.run(command, capture_output=True, check=True, text=True).stdout)
    assert decisions == [policy_of(model, solution, i).decide(observed).tolist() for i in range(3)]
    assert (origin, torch) == ({"trained_on": "arith"}, False)
    assert decisions[0] != decisions[2]


def test_a_solved_model_promises_what_its_bounds_say(model: PomdpModel, solution: Solution) -> None:
    rows = {(row["quantity"], row.get("kappa")): row for row in solved(model, solution).promises()}
    assert rows["weak-only accuracy", None]["modelled"] == pytest.approx(model.transition.alone(strong=False)[0])
    assert [kappa for _, kappa in rows if kappa is not None] == KAPPAS
    for i, kappa in enumerate(KAPPAS):
        assert rows["J", kappa]["modelled"] == solution.upper[i, 0, -1]
        assert rows["J", kappa]["cost"] == solution.costs[i]
    dear = solve(model, [1e6])  # nobody asks the strong model
    assert dear.upper[0, 0, -1] == pytest.approx(model.transition.alone(strong=False)[0], abs=dear.gap[0, 0] + 1e-9)


def test_saving_twice_gives_the_same_bytes(model: PomdpModel, solution: Solution, tmp_path: Path) -> None:
    for name in ("a", "b"):
        save_solved(tmp_path / name, solved(model, solution))
    assert (tmp_path / "a" / FILE).read_bytes() == (tmp_path / "b" / FILE).read_bytes()
    assert load_solved(tmp_path / "a").gap.max() == solution.gap.max()


def test_bad_files_get_a_sentence(model: PomdpModel, solution: Solution, tmp_path: Path) -> None:
    path = tmp_path / FILE
    with pytest.raises(InputError, match=r"solved.npz: .*No such file.*; delete .* and run again"):
        load_solved(tmp_path)
    save_solved(tmp_path, solved(model, solution))
    with pytest.raises(InputError, match=r"kappa 0.3 was not solved; there are \[0.1, 0.4, 1.6\]"):
        load_solved(tmp_path).at(0.3)
    whole = path.read_bytes()
    for damaged in (b"", b"text", whole[: len(whole) // 2], whole[:2000] + bytes(64) + whole[2064:]):
        path.write_bytes(damaged)
        with pytest.raises(InputError, match="solved.npz: not what this workflow wrote"):
            load_solved(tmp_path)
    write_arrays({"scores": np.ones(3)}, path)
    with pytest.raises(InputError, match="not a solved POMDP"):
        load_solved(tmp_path)
    write_arrays({"header": np.array(json.dumps({"format": 2}))}, path)
    with pytest.raises(InputError, match="format 2 of a solved POMDP, but this version reads 1"):
        load_solved(tmp_path)
    short = replace(solved(model, solution), gap=solution.gap[:1])
    save_solved(tmp_path, short)
    with pytest.raises(InputError, match="gap has shape .*, expected finite numbers of shape"):
        load_solved(tmp_path)
