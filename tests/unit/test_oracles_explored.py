"""Oracles without labels: what they know is counted in the explored part of rollout trees, and they stay in it."""

from collections.abc import Iterator

import numpy as np
import pandas as pd
import pytest
from scipy.stats import mannwhitneyu

from trim.config.experiment import Bootstrap
from trim.errors import InputError
from trim.evaluation.needed_prm import needed_prm
from trim.models.noise import disturbed
from trim.problems.problem import Problem
from trim.rollout.tables import OperatingPoint, known_trees, roll_out_points
from trim.rollout.trees import ENDS, KEEP, REGENERATE, UNKNOWN, RolloutTrees
from trim.rollout.vectorised import outcomes, roll_out, roll_out_all
from trim.routers.controls import ALONE, StrongOnly
from trim.routers.needed_prm import DEVIATIONS, foreseeing_scores, route_by_scores
from trim.routers.oracles import KAPPAS, best_actions, better_step_table, endings, optimum_table
from trim.routers.threshold import OneStepTakeover, Threshold, weak_only_nodes

MAX_STEPS = 8
ROUTERS = [*(Threshold(t) for t in (0.2, 0.5, 0.8)), *(OneStepTakeover(t) for t in (0.1, 0.3))]
SETTINGS = Bootstrap(resamples=40)


def judge(answer: str | None, problem: Problem) -> tuple[bool, bool]:
    return (answer == problem.answer,) * 2


@pytest.fixture
def grown(make_problems, scripted_pair) -> RolloutTrees:
    """What some routers and both models alone explored."""
    trees = RolloutTrees(make_problems(20), 2, MAX_STEPS, judge, scripted_pair())
    roll_out_all(trees, [*ROUTERS, *(point.policy for point in ALONE)])
    return trees


@pytest.fixture
def closed(grown: RolloutTrees, make_problems) -> RolloutTrees:
    return known_trees(make_problems(20), grown.table()).close(undrafted=True)


def ways(trees: RolloutTrees, node: int, action: int) -> Iterator[tuple[str, bool, int]]:
    """Yield the text, verdict and strong tokens of every explored way on from a step."""
    if trees.nodes["child"][node, action] == UNKNOWN:
        return
    text, spent = trees.text(node, action), action * int(trees.nodes["tokens"][node, action])
    if trees.nodes["child"][node, action] == ENDS:
        yield text, bool(trees.nodes["correct"][node, action]), spent
        return
    child = int(trees.nodes["child"][node, action])
    for further in (KEEP, REGENERATE):
        for rest, correct, more in ways(trees, child, further):
            yield text + rest, correct, spent + more


# --- closed trees in which not every node has a draft -----------------------------------


def test_trees_that_the_strong_model_walked_alone_are_closed_only_on_request(grown: RolloutTrees) -> None:
    assert (grown.nodes["tokens"][:, KEEP] == UNKNOWN).sum() > 20
    with pytest.raises(InputError, match="paths break off"):
        grown.close()
    assert grown.close(undrafted=True).closed


def test_where_no_draft_is_known_the_strong_step_is_taken_without_one(
    closed: RolloutTrees, grown: RolloutTrees
) -> None:
    free, inside = (roll_out(trees, StrongOnly()) for trees in (grown, closed))
    for name in ("last", "steps", "strong_tokens", "weak_calls"):
        assert getattr(free, name).tolist() == getattr(inside, name).tolist()
    drafting = roll_out(closed, Threshold(1.1))
    assert (drafting.weak_calls < drafting.steps).any()
    assert (drafting.discarded_tokens >= 0).all() and (drafting.weak_tokens >= 0).all()


# --- oracles ----------------------------------------------------------------------------


def test_endings_are_counted_once_each(closed: RolloutTrees) -> None:
    right, count = endings(closed)
    for node in range(len(closed)):
        for action in (KEEP, REGENERATE):
            found = {(text, correct) for text, correct, _ in ways(closed, node, action)}
            assert (right[node, action], count[node, action]) == (sum(correct for _, correct in found), len(found))
    assert count.max() > 4 and 0 < right.sum() < count.sum()


def test_a_step_that_both_models_write_is_one_way_on(make_problems, scripted_pair) -> None:
    pair = scripted_pair()
    pair.strong.identity = "weak"
    trees = RolloutTrees(make_problems(4), 1, MAX_STEPS, judge, pair)
    trees.grow_fully(1000)
    assert endings(trees)[1].max() == 1


def test_the_optimum_is_the_best_explored_path(closed: RolloutTrees) -> None:
    for price in (0.0, 0.01, 0.05):
        best = roll_out(closed, Table(best_actions(closed, price, np.ones(len(closed), dtype=bool))))
        reached = closed.nodes["correct"][best.last, best.action] - price * best.strong_tokens
        for tree, root in enumerate(closed.roots().tolist()):
            paths = [way for action in (KEEP, REGENERATE) for way in ways(closed, root, action)]
            assert reached[tree] == pytest.approx(max(correct - price * spent for _, correct, spent in paths))


def test_the_optimum_of_closed_trees_bounds_that_of_all_futures_from_below(
    closed: RolloutTrees, grown: RolloutTrees
) -> None:
    table = optimum_table(closed)
    assert sorted(table["operating_point"].unique()) == list(KAPPAS) and set(table["router"]) == {"perfect-information"}
    price = outcomes(grown, roll_out(grown, StrongOnly()))[1].mean()
    grown.grow_fully(10_000)
    for kappa, part in table.groupby("operating_point"):
        best = roll_out(grown, Table(best_actions(grown, kappa / price, np.ones(len(grown), dtype=bool))))
        whole = grown.nodes["correct"][best.last, best.action] - kappa / price * best.strong_tokens
        assert (part["correct"] - kappa / price * part["strong_tokens"] <= whole + 1e-9).all()


def test_the_better_step_is_that_whose_explored_ways_end_right_more_often(closed: RolloutTrees) -> None:
    table, taken = better_step_table(closed), set()
    assert (table["router"] == "better-step-oracle").all() and len(table) == 40
    for row, root in zip(table.itertuples(), closed.roots().tolist(), strict=True):
        node = root
        for author in row.authors:
            shares = [[w[:2] for w in ways(closed, node, action)] for action in (KEEP, REGENERATE)]
            keep, regenerate = (np.mean([c for _, c in set(found)]) if found else None for found in shares)
            if keep is None or regenerate is None:
                assert author == ("s" if keep is None else "w")
            else:
                assert author == ("s" if keep < regenerate else "w")
                taken.add(author)
            node = int(closed.nodes["child"][node, REGENERATE if author == "s" else KEEP])
    assert taken == {"s", "w"}


class Table:
    """Regenerates at given nodes."""

    reads = Threshold.reads

    def __init__(self, regenerate) -> None:
        self.regenerate = regenerate

    def wants_drafts(self, after_strong):
        return np.ones_like(after_strong)

    def decide(self, seen):
        return self.regenerate[seen.places.nodes]


# --- how good a PRM would have to be ----------------------------------------------------


def test_foreseeing_scores_are_smoothed_shares_and_noise_moves_their_logits(closed: RolloutTrees) -> None:
    right, count = endings(closed)
    drafted = closed.nodes["tokens"][:, KEEP] >= 0
    plain = foreseeing_scores(closed, 0.0)
    assert np.isnan(plain[~drafted]).all() and (~drafted).any()
    np.testing.assert_allclose(plain[drafted], ((right[:, KEEP] + 1) / (count[:, KEEP] + 2))[drafted])
    node = int(np.flatnonzero(drafted)[7])
    digest = closed.prefix(node).extend(closed.text(node, KEEP)).digest
    assert foreseeing_scores(closed, 2.0)[node] == disturbed(plain[node], 2.0, digest)
    logits = [np.log(scores / (1 - scores))[drafted] for scores in (foreseeing_scores(closed, d) for d in (0, 1, 2))]
    np.testing.assert_allclose(logits[2] - logits[0], 2 * (logits[1] - logits[0]), atol=1e-6)


def test_thresholds_on_the_scores_in_use_do_what_trim_thr_does_inside(closed: RolloutTrees) -> None:
    scores = closed.nodes["score"][:, KEEP]
    routed = route_by_scores(closed, scores, 5)
    ours = routed.episodes[routed.episodes["router"] == "trim-thr"]
    settings = ours["operating_point"].unique()
    assert len(settings) == 5 and set(routed.episodes["router"]) == {"trim-thr", "weak-only", "strong-only"}
    points = [OperatingPoint("trim-thr", "default", value, Threshold(value)) for value in settings]
    columns = ["problem_id", "operating_point", "correct", "strong_tokens"]
    assert ours[columns].reset_index(drop=True).equals(roll_out_points(points, closed)[columns])
    roots = closed.nodes["root"][weak_only_nodes(closed)]
    lowest = pd.Series(scores[weak_only_nodes(closed)]).groupby(roots).min()
    assert routed.lowest["minimum"].tolist() == lowest.tolist()


def test_rows_stand_for_deviations_beside_the_prm_in_use(closed: RolloutTrees) -> None:
    in_use = route_by_scores(closed, closed.nodes["score"][:, KEEP], 6)
    foreseeing = {
        deviation: route_by_scores(closed, foreseeing_scores(closed, deviation), 6) for deviation in DEVIATIONS
    }
    table = needed_prm(in_use, foreseeing, SETTINGS, "0/made")
    assert table["scores"].tolist() == ["in use"] + ["foreseeing"] * len(DEVIATIONS)
    assert table["deviation"].tolist()[1:] == list(DEVIATIONS) and np.isnan(table["deviation"][0])
    for row, routed in zip(table.itertuples(), [in_use, *foreseeing.values()], strict=True):
        right, wrong = (routed.lowest.loc[routed.lowest["correct"] == kind, "minimum"] for kind in (True, False))
        assert row.auc == pytest.approx(mannwhitneyu(right, wrong).statistic / (len(right) * len(wrong)))
        assert row.auc_lo <= row.auc <= row.auc_hi
    assert table["auc"][1] > 0.9 > table["auc"].iloc[-1]  # a score that foresees all, and one that is mostly noise
    np.testing.assert_allclose(table["difference"][1:], table["delta_ibc"][1:] - table["delta_ibc"][0])
    assert table["difference"].isna()[0] and (table["problems"] == 20).all()


def test_scores_are_no_better_than_themselves(closed: RolloutTrees) -> None:
    in_use = route_by_scores(closed, closed.nodes["score"][:, KEEP], 6)
    assert needed_prm(in_use, {0.0: in_use}, SETTINGS, "0/made")["difference"][1] == 0
