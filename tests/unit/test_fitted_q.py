"""Fitted Q: what futures are worth, what is regressed on them, and that it finds the optimum where that is known."""

from dataclasses import replace

import numpy as np
import pytest
from pomdp_models import random_model, random_observed
from simulated_trees import simulated_trees

from trim.checks.simulator import play
from trim.config.routers import FittedQRouter, KappaRange, Routers
from trim.errors import InputError
from trim.problems.problem import Problem
from trim.rollout.history import Observed, Reads, WantsEveryDraft
from trim.rollout.trees import ENDS, KEEP, UNKNOWN, RolloutTrees
from trim.rollout.vectorised import explore, outcomes, roll_out
from trim.routers.controls import WeakOnly
from trim.routers.fitted_q import induction
from trim.routers.fitted_q.features import Basis, describe
from trim.routers.fitted_q.fit import Ridge, fit_gains
from trim.routers.fitted_q.induction import Futures
from trim.routers.kappas import tokens_per_solution
from trim.routers.oracles import LookUp
from trim.routers.pomdp.model import PomdpModel
from trim.routers.pomdp.observation import ObservationModel
from trim.routers.pomdp.policy import PomdpPolicy
from trim.routers.pomdp.solver import solve
from trim.routers.pomdp.transition import TransitionModel
from trim.routers.router import TrainingData

MAX_STEPS = 8
KAPPAS = KappaRange(lowest=0.05, highest=4, count=12)
SETTINGS = Routers(kappa=KAPPAS, fitted_q=FittedQRouter(hinges=60))


def judge(answer: str | None, problem: Problem) -> tuple[bool, bool]:
    return (answer == problem.answer,) * 2


@pytest.fixture(params=["whole", "closed"])
def trees(request, make_problems, scripted_pair) -> RolloutTrees:
    grown = RolloutTrees(make_problems(12), 2, MAX_STEPS, judge, scripted_pair())
    if request.param == "whole":
        grown.grow_fully(10_000)
        return grown
    explore(grown, 14)
    return grown.close()


# --- futures ----------------------------------------------------------------------------


def test_the_worth_of_a_policy_is_what_its_episodes_bring(trees: RolloutTrees) -> None:
    """In closed trees too, where the other action is taken in place of one that leads out."""
    rng = np.random.default_rng(0)
    futures, prices = Futures.of(trees, rng), np.array([0.001, 0.03])
    regenerate = rng.random((len(trees), 2)) < [0.3, 0.7]
    _, worth = futures.worth(regenerate, prices)
    for k, price in enumerate(prices):
        correct, tokens = outcomes(trees, roll_out(trees, LookUp(regenerate[:, k])))
        expected = correct - price * tokens
        found = worth[futures.parent == UNKNOWN, k].reshape(-1, trees.replicates).mean(axis=1)
        np.testing.assert_allclose(found, expected, atol=1e-12)


def test_what_is_unknown_has_no_worth(make_problems, scripted_pair) -> None:
    """A tree that was left alone: its last nodes hold drafts, and nothing behind them."""
    trees = RolloutTrees(make_problems(6), 1, MAX_STEPS, judge, scripted_pair())
    trees.grow_fully(6)
    futures = Futures.of(trees, np.random.default_rng(0))
    ahead, _ = futures.worth(np.zeros((len(trees), 1), dtype=bool), np.array([0.01]))
    assert np.isnan(ahead[(trees.nodes["child"] == UNKNOWN), 0]).all()
    assert np.isfinite(ahead[(trees.nodes["child"] == ENDS), 0]).all()
    assert np.isnan(ahead).any() and np.isfinite(ahead).any()


class Watching(WantsEveryDraft):
    """Decides at random, and remembers what it saw at each node."""

    reads = Reads.HISTORY

    def __init__(self) -> None:
        self.rng, self.seen = np.random.default_rng(4), {}

    def decide(self, observed: Observed) -> np.ndarray:
        self.seen |= dict(zip(observed.places.nodes.tolist(), describe(observed), strict=True))
        return self.rng.random(len(observed.position)) < 0.5


def test_a_node_is_described_as_a_router_sees_it(trees: RolloutTrees) -> None:
    """Where both models wrote the same step, whichever of them the router took."""
    described, watching = describe(Futures.of(trees, np.random.default_rng(0)).observed), Watching()
    for _ in range(4):
        roll_out(trees, watching)
    nodes = list(watching.seen)
    assert len(nodes) > len(trees) / 4
    np.testing.assert_allclose(described[nodes], np.stack([watching.seen[node] for node in nodes]))


def test_the_weights_of_nodes_are_those_of_whole_episodes(trees: RolloutTrees) -> None:
    futures = Futures.of(trees, np.random.default_rng(0))
    weights, shares = futures.reached(), futures.shares()
    assert (weights[futures.parent == UNKNOWN] == 1).all()
    np.testing.assert_allclose(shares.sum(axis=1), 1)
    assert (shares[futures.child == UNKNOWN] == 0).all()
    assert (weights[:, None] * shares)[futures.child == ENDS].sum() == pytest.approx(24)  # every episode ends once


def test_of_many_nodes_whole_problems_are_drawn(trees: RolloutTrees, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(induction, "MOST_NODES", len(trees) // 2)
    whole, some = trees.nodes["root"] // 2, Futures.of(trees, np.random.default_rng(0))
    assert 0 < len(some.problem) <= len(trees) // 2
    for problem in np.unique(some.problem):
        assert (some.problem == problem).sum() == (whole == problem).sum()
    inner = some.parent >= 0
    assert (some.problem[some.parent[inner]] == some.problem[inner]).all()
    assert (some.position[some.parent[inner]] + 1 == some.position[inner]).all()


# --- regression -------------------------------------------------------------------------


def test_what_is_behind_the_draft_changes_nothing() -> None:
    rng = np.random.default_rng(1)
    seen = random_observed(rng, random_model(rng, steps=6), 200)
    behind = np.arange(6) > seen.position[:, None]
    other = replace(
        seen,
        scores=np.where(behind, np.nan, seen.scores),
        draft_scores=np.where(behind, 0.1, seen.draft_scores),
        tokens=np.where(behind, 99, seen.tokens),
        strong=seen.strong ^ behind,
    )
    np.testing.assert_array_equal(describe(seen), describe(other))
    assert np.isfinite(describe(seen)).all()


def test_a_basis_bends_but_is_linear_in_its_weights() -> None:
    rng = np.random.default_rng(2)
    x = np.stack([np.linspace(-1, 1, 400), np.ones(400)], axis=1)  # the second feature never differs
    basis = Basis.draw(x, np.ones(400), 40, rng)
    rows = basis.apply(x)
    assert rows.shape == (400, basis.size)
    weights = np.linalg.lstsq(rows, np.abs(x[:, :1]), rcond=None)[0]
    assert np.abs(rows @ weights - np.abs(x[:, :1])).max() < 0.05


def test_no_row_is_foretold_by_what_was_fitted_to_it() -> None:
    rng = np.random.default_rng(3)
    rows = np.hstack([np.ones((60, 1)), rng.normal(size=(60, 4))])
    fold, target = np.arange(60) % 3, rng.normal(size=(60, 2))
    ridge, changed = Ridge(rows, np.ones(60), fold, 3), target + 5 * (fold == 1)[:, None]
    before, after = ridge.foretell(target, 0.1), ridge.foretell(changed, 0.1)
    np.testing.assert_allclose(before[fold == 1], after[fold == 1])
    assert (before[fold != 1] != after[fold != 1]).all()
    alone = Ridge(rows[fold != 1], np.ones(40), np.zeros(40, int), 1).fit(target[fold != 1], 0.15)
    # 40 of 60 rows: the moments are means over all of them, so that the penalty weighs half as much again.
    np.testing.assert_allclose(before[fold == 1], rows[fold == 1] @ alone, rtol=1e-6)


def test_rows_of_no_weight_and_folds_of_no_rows_are_no_error() -> None:
    rows, target = np.array([[1.0, 2], [1, 3], [1, np.nan]]), np.array([[1.0], [2], [np.nan]])
    ridge = Ridge(rows, np.array([1.0, 1, 0]), np.zeros(3, int), 4)
    assert np.isfinite(ridge.fit(target, 0.1)).all()
    assert ridge.foretell(target, 0.1)[:2].tolist() == [[0], [0]]  # nothing was fitted: keep


# --- fitted -----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def world():
    """A POMDP whose scores mislead now and then, so that history counts; trees of it, and what was fitted to them."""
    likelihoods = np.array([[0.05, 0.35, 0.5], [0.15, 0.3, 0.3], [0.3, 0.2, 0.15], [0.5, 0.15, 0.05]])
    transition = TransitionModel(
        weak_accuracy=np.full(5, 0.75),
        strong_if_right=0.97,
        strong_if_wrong=0.85,
        hazard=np.array([0, 0, 0.3, 0.3, 1]),
        tokens=np.array([5.0, 15.0]),
        token_weights=np.array([0.5, 0.5]),
    )
    model = PomdpModel(ObservationModel(np.linspace(0, 1, 5), likelihoods, likelihoods), transition, 1.0)
    data = TrainingData(simulated_trees(model, 600, 1), simulated_trees(model, 300, 2), SETTINGS, labelled=False)
    return model, data, fit_gains(data, 0)[0]


@pytest.mark.parametrize("kappa", [0.1, 0.3, 0.6])
def test_it_finds_the_optimum_where_that_is_known(world, kappa: float) -> None:
    """Certified by the solver of the POMDP, which knows the model."""
    model, data, gains = world
    cost = kappa / tokens_per_solution(data.trees)
    solution = solve(model, [cost], 200)
    best = PomdpPolicy(model, solution.upper[0], cost)
    worth = [play(model, p.decide, cost, 20_000, 5).net_reward for p in (WeakOnly(), best, gains.policy(kappa))]
    assert worth[1] - worth[0] > 0.02  # there is something to gain
    assert (worth[2] - worth[0]) / (worth[1] - worth[0]) > 0.9


def test_a_larger_kappa_spends_less(world) -> None:
    _, data, gains = world
    alone = tokens_per_solution(data.dev)
    spent = [outcomes(data.dev, roll_out(data.dev, gains.policy(k)))[1].mean() / alone for k in KAPPAS.spread(8)]
    assert spent == sorted(spent, reverse=True)
    assert spent[0] > 0.3 > 0.1 > spent[-1]


def test_a_fit_is_repeatable_and_hangs_on_its_seed(world) -> None:
    _, data, gains = world
    again, other = (fit_gains(data, seed)[0] for seed in (0, 1))
    np.testing.assert_array_equal(again.weights, gains.weights)
    assert (other.weights != gains.weights).any()


def test_between_fitted_kappas_lies_a_straight_line(world) -> None:
    gains = world[2]
    halfway = gains.policy(float(np.sqrt(gains.kappas[3] * gains.kappas[4])))
    np.testing.assert_allclose(halfway.weights, gains.weights[:, 3:5].mean(axis=1))
    np.testing.assert_allclose(gains.policy(float(gains.kappas[-1])).weights, gains.weights[:, -1])


def test_in_closed_trees_it_learns_from_what_is_explored(make_problems, scripted_pair) -> None:
    trees = RolloutTrees(make_problems(12), 2, MAX_STEPS, judge, scripted_pair())
    explore(trees, 14)
    trees.close().pair = None
    gains, looks = fit_gains(TrainingData(trees, trees, SETTINGS, labelled=False), 0)
    assert np.isfinite(gains.weights).all() and np.isfinite(list(looks.values())).all()


def test_where_nothing_can_be_compared_one_sentence_says_so(make_problems, scripted_pair) -> None:
    """Only first drafts are known, and what the strong model writes alone, which tells what a token costs."""
    many = RolloutTrees(make_problems(12), 1, MAX_STEPS, judge, scripted_pair())
    roots = many.roots()
    longer = ~many.nodes["final"][roots, KEEP]
    problems = [problem for problem, goes_on in zip(many.problems, longer, strict=True) if goes_on]
    trees = RolloutTrees(problems, 1, MAX_STEPS, judge, scripted_pair())
    trees.grow_fully(0)
    with pytest.raises(InputError, match=r"^fitted-q: in no explored tree .* by routers\.fitted_q\.variants$"):
        fit_gains(TrainingData(trees, trees, SETTINGS, labelled=False), 0)
