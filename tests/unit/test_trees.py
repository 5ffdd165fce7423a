"""Trees: rollouts in them are what the engine does, whole trees are whole, and what is known asks no model."""

import numpy as np
import pytest

from trim.errors import StoreError
from trim.problems.grading import Grader
from trim.problems.problem import Problem
from trim.rollout.costs import COSTS
from trim.rollout.engine import Run, solve_all
from trim.rollout.history import Reads, WantsEveryDraft
from trim.rollout.tables import OperatingPoint, episode_table, roll_out_points, run_points
from trim.rollout.trees import ENDS, KEEP, REGENERATE, UNKNOWN, RolloutTrees
from trim.rollout.vectorised import outcomes, roll_out, roll_out_all
from trim.routers.controls import StrongOnly, WeakOnly
from trim.routers.threshold import OneStepTakeover, PerToken, Threshold

MAX_STEPS = 8


def judge(answer: str | None, problem: Problem) -> tuple[bool, bool]:
    return (answer == problem.answer,) * 2


def plant(make_problems, pair, count=6, replicates=2, max_steps=MAX_STEPS):
    return RolloutTrees(make_problems(count), replicates, max_steps, judge, pair)


class LooksBack(WantsEveryDraft):
    """Regenerates by everything that a router may see, so that a wrong history changes what it does."""

    reads = Reads.HISTORY

    def decide(self, seen):
        past = np.arange(seen.scores.shape[1]) < seen.position[:, None]
        drafted = np.where(past, seen.draft_scores, 0).sum(1)
        written = np.where(past, seen.strong * seen.tokens, 0).sum(1)
        mark = 7 * seen.score + 5 * seen.minimum + 3 * seen.product + drafted + written + seen.position + seen.final
        return (mark * 1000).astype(int) % 3 == 0


class Scripted(WantsEveryDraft):
    reads = Reads.HISTORY

    def __init__(self, regenerates):
        self.regenerates = regenerates

    def decide(self, seen):
        return np.array([p < len(self.regenerates) and self.regenerates[p] for p in seen.position])


ROUTERS = [
    Threshold(0.5),
    PerToken(0.1),
    LooksBack(),
    Threshold(0),
    Threshold(1.1),
    WeakOnly(),
    StrongOnly(),
    OneStepTakeover(0.3),
]


@pytest.mark.parametrize("router", ROUTERS)
@pytest.mark.parametrize("max_steps", [2, MAX_STEPS])
def test_a_rollout_is_what_the_engine_does(make_problems, scripted_pair, router, max_steps):
    problems = make_problems(8)
    trees = plant(make_problems, scripted_pair(), 8, max_steps=max_steps)
    points = [OperatingPoint("router", "default", 0.5, router)]
    table = roll_out_points(points, trees)
    with Grader() as grader:
        results = run_points(points, problems, scripted_pair(), 2, max_steps)
        solved = episode_table(results, grader, exact=True)
    assert table["strong_tokens"].sum() > 0 or router in (Threshold(0), PerToken(0.1), WeakOnly())
    for column in solved:
        assert table[column].tolist() == solved[column].tolist(), column


def test_side_by_side_is_one_after_the_other(make_problems, scripted_pair, monkeypatch):
    monkeypatch.setattr("trim.rollout.vectorised.EPISODES_AT_A_TIME", 40)  # three parts
    pair, told = scripted_pair(), []
    together = roll_out_all(plant(make_problems, pair, 7), ROUTERS, lambda *count: told.append(count))
    for router, rollout in zip(ROUTERS, together, strict=True):
        alone = roll_out(plant(make_problems, scripted_pair(), 7), router)
        for name in COSTS:
            assert getattr(rollout, name).tolist() == getattr(alone, name).tolist()
        assert (rollout.strong == alone.strong).all() and (rollout.steps == alone.steps).all()
    assert len(set(pair.weak.calls)) == len(pair.weak.calls)
    most = together[0].strong.size * len(ROUTERS)
    assert told[-1] == (most, most) and told == sorted(told) and {total for _, total in told} == {most}


def test_whole_trees_hold_every_path(make_problems, scripted_pair):
    trees = plant(make_problems, scripted_pair())
    trees.grow_fully(10_000)
    assert trees.complete().all()
    nodes = trees.nodes
    assert not (nodes["child"] == UNKNOWN).any()
    assert ((nodes["child"] == ENDS) == nodes["final"]).all()
    paths = [()]
    at = [(int(trees.roots()[0]), path) for path in paths]
    ends = []
    while at:
        node, path = at.pop()
        for action in (KEEP, REGENERATE):
            child = int(nodes["child"][node, action])
            (ends if child == ENDS else at).append((child, (*path, action)))
    assert len(ends) > 8
    for path in [path for _, path in ends][:20]:  # what the engine does on the same path ends in the same place
        scripted = [bool(action) for action in path]
        assert roll_out(trees, Scripted(scripted)).steps[0] == len(path)
    trees.pair = None  # whatever a router does, no model is needed any more
    assert len(roll_out(trees, LooksBack()).last) == 12


def test_a_tree_over_the_limit_is_left_alone(make_problems, scripted_pair):
    trees = plant(make_problems, scripted_pair())
    trees.grow_fully(0)
    assert len(trees) == len(trees.roots())
    assert not trees.complete().any()


def test_equal_texts_of_both_models_lead_to_one_node(make_problems, scripted_pair):
    pair = scripted_pair()
    trees = RolloutTrees(make_problems(3), 1, MAX_STEPS, judge, type(pair)(pair.weak, pair.weak, pair.prm))
    trees.grow_fully(10_000)
    nodes = trees.nodes
    assert (nodes["child"][:, KEEP] == nodes["child"][:, REGENERATE]).all()
    assert len(trees) == roll_out(trees, WeakOnly()).steps.sum()  # a chain a tree
    assert max(np.bincount(nodes["root"])) <= MAX_STEPS


def test_a_forest_on_disk_is_the_same_trees(make_problems, scripted_pair, tmp_path):
    import pandas as pd

    trees = plant(make_problems, scripted_pair())
    roll_out(trees, Threshold(0.5))  # grown in part
    trees.table().to_parquet(tmp_path / "trees.parquet")
    pair = scripted_pair()
    loaded = plant(make_problems, pair).load(pd.read_parquet(tmp_path / "trees.parquet"))
    assert (loaded.nodes["child"] == trees.nodes["child"]).all()
    assert [loaded.prefix(node).digest for node in range(len(loaded))] == [
        trees.prefix(node).digest for node in range(len(trees))
    ]
    for router in (Threshold(0.5), LooksBack()):
        expected, got = (roll_out_points([OperatingPoint("r", "default", 0.0, router)], f) for f in (trees, loaded))
        pd.testing.assert_frame_equal(expected, got)
    assert not [call for call in pair.weak.calls if call[0] == loaded.prefix(0).digest]  # what it held was not asked


def test_nothing_is_drafted_where_the_strong_model_writes_anyway(make_problems, scripted_pair):
    pair = scripted_pair()
    trees = plant(make_problems, pair)
    roll_out(trees, StrongOnly())
    assert len(pair.weak.calls) == len(trees.roots()) < len(trees)
    roll_out(trees, Threshold(1.1))  # now that drafts are wanted, they are made up for
    assert len(pair.weak.calls) == len(trees)
    assert (trees.nodes["tokens"] > 0).all()


def test_known_transitions_ask_no_model_and_unknown_ones_are_asked_once(make_problems, scripted_pair):
    pair = scripted_pair()
    trees = plant(make_problems, pair)
    roll_out(trees, LooksBack())
    calls = len(pair.weak.calls), len(pair.strong.calls), len(pair.prm.calls)
    roll_out(trees, LooksBack())
    assert (len(pair.weak.calls), len(pair.strong.calls), len(pair.prm.calls)) == calls
    assert len(set(pair.strong.calls)) == len(pair.strong.calls)


def test_without_models_the_unknown_is_one_clear_error(make_problems, scripted_pair):
    trees = plant(make_problems, scripted_pair())
    roll_out(trees, WeakOnly())
    trees.pair = None
    with pytest.raises(StoreError, match="left the explored part"):
        roll_out(trees, StrongOnly())


def test_outcomes_are_means_over_replicates(make_problems, scripted_pair):
    trees = plant(make_problems, scripted_pair(), 5, 2)
    correct, tokens = outcomes(trees, roll_out(trees, StrongOnly()))
    runs = [Run(problem, Threshold(1.1), r) for problem in trees.problems for r in range(2)]
    episodes = solve_all(runs, scripted_pair(), MAX_STEPS)
    spent = np.array([episode.costs.strong_tokens for episode in episodes]).reshape(5, 2).mean(1)
    right = np.array([episode.answer == episode.problem.answer for episode in episodes]).reshape(5, 2).mean(1)
    assert tokens.tolist() == spent.tolist()
    assert correct.tolist() == right.tolist()


def test_rescoring_asks_the_prm_of_every_scored_step(make_problems, scripted_pair):
    pair = scripted_pair()
    trees = plant(make_problems, pair)
    trees.grow_fully(10_000)
    before = trees.nodes["score"].copy()

    class Half:
        identity = "half"

        async def score(self, prefix, step):
            score = await pair.prm.score(prefix, step)
            return type(score)(score.value / 2, score.prompt_tokens)

    trees.pair = type(pair)(pair.weak, pair.strong, Half())
    trees.rescore()
    np.testing.assert_array_equal(trees.nodes["score"], before / 2)
