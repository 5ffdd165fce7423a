"""A budget of explored prefixes: growth keeps to it, and routers, training and choices stay inside."""

import hashlib

import numpy as np
import pytest

from trim.errors import InputError
from trim.problems.problem import Problem
from trim.rollout.costs import COSTS
from trim.rollout.history import Reads, WantsEveryDraft
from trim.rollout.trees import KEEP, REGENERATE, UNKNOWN, RolloutTrees
from trim.rollout.vectorised import ENOUGH, FURTHER_ROUNDS, _parts, explore, roll_out, roll_out_all
from trim.routers.controls import StrongOnly, WeakOnly
from trim.routers.kappas import choose_kappas
from trim.routers.learned.environment import Routing, TreesWorld
from trim.routers.learned.features import Scale, SequenceEncoder
from trim.routers.threshold import OneStepTakeover, Threshold

MAX_STEPS, BUDGET = 8, 14


def judge(answer: str | None, problem: Problem) -> tuple[bool, bool]:
    return (answer == problem.answer,) * 2


def plant(make_problems, pair, count=12, replicates=2) -> RolloutTrees:
    return RolloutTrees(make_problems(count), replicates, MAX_STEPS, judge, pair)


@pytest.fixture
def closed(make_problems, scripted_pair) -> RolloutTrees:
    """Trees that were explored within a budget, without any model."""
    trees = plant(make_problems, scripted_pair())
    explore(trees, BUDGET)
    trees.pair = None
    return trees.close()


class Scripted(WantsEveryDraft):
    """Regenerates at given positions."""

    reads = Reads.HISTORY

    def __init__(self, regenerates) -> None:
        self.regenerates = regenerates

    def decide(self, seen):
        return np.array([bool(self.regenerates[p]) for p in seen.position])


class Watching(WantsEveryDraft):
    """Decides at random, and remembers who wrote the steps of the histories that it saw."""

    reads = Reads.HISTORY

    def __init__(self) -> None:
        self.rng, self.seen = np.random.default_rng(4), set()

    def decide(self, seen):
        trees = seen.places.trees.nodes["root"][seen.places.nodes].tolist()
        for tree, strong, position in zip(trees, seen.strong, seen.position, strict=True):
            self.seen.add((tree, tuple(strong[:position].tolist())))
        return self.rng.random(len(seen.position)) < 0.5


# --- growth -----------------------------------------------------------------------------


def test_growth_keeps_to_the_budget(make_problems, scripted_pair) -> None:
    pair = scripted_pair()
    trees, whole = plant(make_problems, pair), plant(make_problems, scripted_pair())
    whole.grow_fully(10_000)
    asked = []
    explore(trees, BUDGET, lambda done, total: asked.append((done, total)))
    sizes, largest = (np.bincount(grown.nodes["root"]) for grown in (trees, whole))
    assert (sizes < BUDGET + MAX_STEPS).all()  # the last episode goes on to its end
    assert (sizes + 2 > np.minimum(largest, BUDGET)).all() and (sizes < largest).sum() > 12
    assert len(pair.weak.calls) == len(set(pair.weak.calls)) == len(trees)
    assert len(pair.strong.calls) == len(set(pair.strong.calls)) <= len(trees)
    allowed = np.where(trees.complete(), np.minimum(sizes, BUDGET), BUDGET)
    assert asked[-1] == (np.minimum(sizes, BUDGET).sum(), allowed.sum())
    # The last few nodes are not worth a round.
    rounds = [done / total for done, total in asked]
    assert (np.array(rounds[:-1]) < ENOUGH).all() and (rounds[-1] >= ENOUGH or len(rounds) == FURTHER_ROUNDS + 1)


@pytest.mark.parametrize("budget", [1, BUDGET])
def test_both_models_alone_are_inside_whatever_the_budget(make_problems, scripted_pair, budget: int) -> None:
    trees, free = plant(make_problems, scripted_pair()), plant(make_problems, scripted_pair())
    explore(trees, budget)
    trees.close().pair = None
    for router in (Threshold(0.0), WeakOnly(), StrongOnly(), Threshold(1.1)):
        ours, expected = roll_out(trees, router), roll_out(free, router)
        for name in COSTS:
            assert getattr(ours, name).tolist() == getattr(expected, name).tolist()
    assert trees.answered_otherwise == 0 < trees.decisions


def test_both_actions_are_soon_known_along_the_weak_path(make_problems, scripted_pair) -> None:
    trees = plant(make_problems, scripted_pair())
    explore(trees, 30)
    at, known = trees.roots(), []
    while at.size:
        known.append((trees.nodes["child"][at] != UNKNOWN).all(axis=1))
        at = trees.nodes["child"][at, KEEP]
        at = at[at >= 0]
    assert np.concatenate(known).mean() > 0.9 > 0.6 > trees.complete().mean()


def test_what_is_explored_does_not_depend_on_the_parts(make_problems, scripted_pair, monkeypatch) -> None:
    grown = []
    for at_a_time in (100, 5):
        monkeypatch.setattr("trim.rollout.vectorised.TREES_AT_A_TIME", at_a_time)
        trees = plant(make_problems, scripted_pair())
        explore(trees, BUDGET)
        known = (trees.nodes["child"] != UNKNOWN).tolist()
        grown.append({(int(trees.nodes["root"][n]), trees.prefix(n).digest, *known[n]) for n in range(len(trees))})
    assert grown[0] == grown[1]


def test_without_a_budget_trees_are_explored_as_before_there_was_one(make_problems, scripted_pair) -> None:
    trees = plant(make_problems, scripted_pair(), 70)
    explore(trees)
    table = trees.table().to_csv(index=False).encode()
    assert hashlib.sha256(table).hexdigest()[:16] == "4659fb95ad3979b6"  # as of before there was one


# --- inside -----------------------------------------------------------------------------


def test_what_happens_is_what_is_recorded(closed: RolloutTrees, make_problems, scripted_pair) -> None:
    router = Watching()
    rollout = roll_out(closed, router)
    assert 0 < closed.answered_otherwise < closed.decisions == rollout.steps.sum()
    free = plant(make_problems, scripted_pair())
    for tree, strong in enumerate(rollout.strong.tolist()):
        expected = roll_out(free, Scripted(strong))  # as if exactly this had been asked for
        assert all(getattr(rollout, name)[tree] == getattr(expected, name)[tree] for name in COSTS)
        for position in range(rollout.steps[tree]):
            assert (tree, tuple(strong[:position])) in router.seen
    assert len(router.seen) == rollout.steps.sum()


def test_a_draft_that_nobody_wanted_is_paid_for_where_it_is_kept(make_problems, scripted_pair) -> None:
    trees = plant(make_problems, scripted_pair())
    weak = roll_out(trees, Threshold(0.0))
    for router in (StrongOnly(), OneStepTakeover(1.1)):
        forced = roll_out(trees.close(), router)
        assert not forced.strong.any()
        for name in ("weak_tokens", "weak_calls", "strong_tokens", "discarded_tokens", "steps"):
            assert getattr(forced, name).tolist() == getattr(weak, name).tolist()
    assert trees.answered_otherwise == trees.decisions


def test_actions_are_possible_as_they_are_without_a_limit(make_problems, scripted_pair) -> None:
    trees = plant(make_problems, scripted_pair())
    explore(trees, BUDGET)
    at = np.repeat(np.arange(len(trees)), 2)
    actions = np.tile([KEEP, REGENERATE], len(trees))
    assert trees.possible(at, actions) is actions
    taken = trees.close().possible(at, actions)
    known = trees.knows(at, actions)
    assert (taken == np.where(known, actions, 1 - actions)).all() and not known.all()
    assert trees.answered_otherwise == (~known).sum()


def test_trees_in_which_paths_break_off_are_not_closed(make_problems, scripted_pair) -> None:
    for trees in (plant(make_problems, scripted_pair()), plant(make_problems, scripted_pair())):
        with pytest.raises(InputError, match=r"paths break off.*no router could go on.*delete them"):
            trees.close()
        trees.grow_fully(3)
    assert not trees.closed


def test_few_trees_are_walked_at_a_time_where_models_may_be_asked(make_problems, scripted_pair, monkeypatch) -> None:
    monkeypatch.setattr("trim.rollout.vectorised.TREES_AT_A_TIME", 100)
    trees = plant(make_problems, scripted_pair(), 110)
    roots = trees.roots()
    assert [len(part) for part in _parts(trees, roots, 3)] == [74, 73, 73]
    explore(trees, 5)
    assert len(_parts(trees, roots, 3)) == 3
    pair, trees.pair = trees.pair, None
    assert len(_parts(trees, roots, 3)) == 1
    trees.pair = pair
    assert len(_parts(trees.close(), roots, 3)) == 1
    whole = plant(make_problems, scripted_pair(), 110)
    whole.grow_fully(10_000)
    assert len(_parts(whole, whole.roots(), 3)) == 1


def test_an_environment_answers_with_what_is_explored(closed: RolloutTrees) -> None:
    """Histories and rewards are of the steps that were kept, not of those that were asked for."""
    world = TreesWorld(closed, 64, np.random.default_rng(0))
    encoder = SequenceEncoder(Scale({}, {}), False, MAX_STEPS, ("strong",))
    env = Routing(world, encoder, lambda count: np.ones(count), 10.0)
    rng, observations = np.random.default_rng(1), env.reset()
    for _ in range(60):
        for node, seen in zip(world._node.tolist(), observations, strict=True):
            path = []
            while (parent := int(closed.nodes["parent"][node])) != UNKNOWN:
                path.append(closed.nodes["child"][parent, REGENERATE] == node)
                node = parent
            assert seen[-MAX_STEPS:][: len(path)].astype(bool).tolist() == path[::-1]
        asked, at = rng.random(64) < 0.5, world._node.copy()
        taken = closed.possible(at, asked.astype(np.int64))
        observations, rewards, ended = env.step(asked)
        spent = np.where(taken == REGENERATE, closed.nodes["tokens"][at, REGENERATE], 0)
        correct = closed.nodes["correct"][at, taken] & ended
        np.testing.assert_allclose(rewards, correct - spent / 10, rtol=1e-6)
    shares = world.shares()
    assert shares["known_timesteps"] + shares["answered_otherwise"] == pytest.approx(1)
    assert 0.01 < shares["answered_otherwise"] < 0.5


def test_many_routers_stay_inside_side_by_side(closed: RolloutTrees) -> None:
    routers = [Threshold(t) for t in (0.2, 0.5, 0.8)] + [OneStepTakeover(t) for t in (0.2, 0.5)]
    for router, rollout in zip(routers, roll_out_all(closed, routers), strict=True):
        alone = roll_out(closed, router)
        assert all(getattr(rollout, name).tolist() == getattr(alone, name).tolist() for name in COSTS)


def test_kappas_are_not_chosen_by_shares_that_are_of_other_decisions(closed: RolloutTrees, caplog) -> None:
    kappas = np.geomspace(0.1, 4, 12)
    alternating = Scripted([1, 0] * (MAX_STEPS // 2))
    assert choose_kappas(lambda kappa: alternating, kappas, closed, 3) == [kappas[0], kappas[5], kappas[11]]
    assert "hold too little" in caplog.text
    caplog.clear()
    sure = choose_kappas(lambda kappa: WeakOnly() if kappa > 1 else StrongOnly(), kappas, closed, 3)
    assert max(sure) < 1 and "hold too little" not in caplog.text
