"""The trace explorer: its paths are those of rollouts, its page is whole, safe and always the same."""

import json
import re
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from pomdp_models import random_model

from trim.explorer.choice import KINDS, choose, disagreements, outcome_kinds
from trim.explorer.html import script_safe
from trim.explorer.page import SHARES, explore_dataset, render
from trim.explorer.traces import trace
from trim.problems.problem import Problem
from trim.rollout.history import Reads
from trim.rollout.tables import OperatingPoint, known_trees, roll_out_points
from trim.rollout.trees import ENDS, KEEP, REGENERATE, UNKNOWN, RolloutTrees
from trim.rollout.vectorised import roll_out
from trim.routers.pomdp.disk import SolvedPomdp, load_solved
from trim.routers.pomdp.fit import FittedPomdp
from trim.routers.pomdp.policy import PomdpPolicy
from trim.routers.pomdp.solver import solve
from trim.routers.threshold import FittedThresholds, Threshold

MAX_STEPS = 8
THRESHOLDS = [0.1, 0.3, 0.7]
KAPPAS = [0.3, 0.6, 1.2]
DATA = re.compile(r'<script type="application/json" id="data">(.*?)</script>', re.DOTALL)


def judge(answer: str | None, problem: Problem) -> tuple[bool, bool]:
    return (answer == problem.answer,) * 2


@pytest.fixture(scope="module")
def fitted(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[Path]]:
    """TRIM-Thr and TRIM-POMDP at three operating points each."""
    folder = tmp_path_factory.mktemp("routers")
    folders = {router: folder / router / "default.0" for router in ("trim-thr", "trim-pomdp")}
    FittedThresholds("trim-thr", "default", THRESHOLDS).save(folders["trim-thr"], {})
    model = random_model(np.random.default_rng(0), bins=6, steps=MAX_STEPS)
    solution = solve(model, [kappa / 40 for kappa in KAPPAS], 100)
    solved = SolvedPomdp(model, np.array(KAPPAS), solution.costs, solution.upper, solution.gap, {})
    FittedPomdp("default", solved, 0.4, KAPPAS).save(folders["trim-pomdp"], {})
    return {"trim-thr": [folders["trim-thr"]], "trim-agg": [], "trim-pomdp": [folders["trim-pomdp"]]}


@pytest.fixture(scope="module")
def points(fitted: dict[str, list[Path]]) -> list[OperatingPoint]:
    """The same operating points, as they stand in the page."""
    solved = load_solved(fitted["trim-pomdp"][0])
    thresholds = [OperatingPoint("trim-thr", "default", value, Threshold(value)) for value in THRESHOLDS]
    return thresholds + [OperatingPoint("trim-pomdp", "default", k, PomdpPolicy(*solved.at(k))) for k in KAPPAS]


@pytest.fixture
def trees(make_problems, scripted_pair, points) -> RolloutTrees:
    """What the operating points and both models alone explored of problems, and no models any more."""
    grown = RolloutTrees(make_problems(24), 2, MAX_STEPS, judge, scripted_pair())
    roll_out_points([*points, *ends()], grown)
    return known_trees(make_problems(30), grown.table())


def ends() -> list[OperatingPoint]:
    alone = {"weak-only": Threshold(0.0), "strong-only": Threshold(1.1)}
    return [OperatingPoint(name, "default", 0.0, policy) for name, policy in alone.items()]


def curve_table() -> pd.DataFrame:
    rows = [("weak-only", "untrained", 0.0, 0.0), ("strong-only", "untrained", 0.0, 1.0)]
    # Kappas stand the other way round: the dearest router has the lowest.
    settings = {"trim-thr": THRESHOLDS, "trim-pomdp": KAPPAS[::-1]}
    rows += [
        (router, "home", setting, share)
        for router in settings
        for setting, share in zip(settings[router], (0.08, 0.22, 0.5), strict=True)
    ]
    table = pd.DataFrame(rows, columns=["router", "trained_on", "operating_point", "strong_share"])
    return table.assign(variant="default", seed=0, accuracy=0.5)


def explored(trees: RolloutTrees, fitted: dict[str, list[Path]], count: int = 24) -> dict:
    return explore_dataset(trees, curve_table(), fitted, "home", count, labelled=False)


def follow(problem: dict, column: int | None) -> dict:
    """What the script of the page does: follow the decisions in one column, or always regenerate."""
    path, at = {"authors": "", "strong": 0, "weak": 0, "discarded": 0, "states": []}, 0
    while at >= 0:
        state = problem["states"][at]
        action = 1 if column is None else int(state["decisions"][column])
        draft, strong = state["steps"]
        path["states"].append(state)
        path["authors"] += "ws"[action]
        path["strong"] += strong["tokens"] if action else 0
        path["weak"] += 0 if action else draft["tokens"]
        path["discarded"] += draft["tokens"] if action and draft else 0
        kept, at = state["steps"][action], state["next"][action]
    return path | {"end": at, "answer": kept.get("answer"), "correct": kept.get("correct")}


def column_of(point: OperatingPoint) -> int:
    """Column of an operating point in the page: by router and share."""
    if point.router == "trim-thr":
        return THRESHOLDS.index(point.setting)
    return len(SHARES) + KAPPAS[::-1].index(point.setting)


def test_paths_are_those_of_rollouts(trees, fitted, points) -> None:
    data = explored(trees, fitted)
    assert [router["id"] for router in data["routers"]] == ["trim-thr", "trim-pomdp"]
    assert [point["setting"] for point in data["routers"][0]["points"]] == THRESHOLDS
    assert [point["share"] for point in data["routers"][1]["points"]] == [0.08, 0.22, 0.5]
    assert len(data["problems"]) == 24
    table = roll_out_points(points, trees)
    table = table[table["replicate"] == 0].set_index(["router", "operating_point", "problem_id"])
    for point in points:
        for problem in data["problems"]:
            path, row = follow(problem, column_of(point)), table.loc[point.router, point.setting, problem["id"]]
            assert path["end"] == ENDS
            assert path["authors"] == row["authors"]
            costs = [row[f"{name}_tokens"] for name in ("strong", "weak", "discarded")]
            assert [path["strong"], path["weak"], path["discarded"]] == costs
            assert path["correct"] == row["correct"]
            assert path["answer"] == (None if pd.isna(row["answer"]) else row["answer"])
    assert len({path for problem in data["problems"] for path in [follow(problem, 2)["authors"]]}) > 3


@dataclass
class Follows:
    """Decides as one router does, and writes down what all of them would do and what is believed."""

    leader: PomdpPolicy | Threshold
    policies: list
    filtered: PomdpPolicy
    seen: list = field(default_factory=list)
    reads = Reads.HISTORY

    def wants_drafts(self, after_strong):
        return np.ones_like(after_strong)

    def decide(self, observed):
        decisions = "".join("01"[int(policy.decide(observed)[0])] for policy in self.policies)
        self.seen.append((decisions, [float(p[0]) for p in self.filtered.believe(observed)]))
        return self.leader.decide(observed)


def test_every_router_is_asked_at_every_point_of_every_path(
    trees, fitted, points, make_problems, scripted_pair
) -> None:
    problems = {problem["id"]: problem for problem in explored(trees, fitted)["problems"]}
    in_order = [point.policy for point in sorted(points, key=column_of)]
    for leader in (points[2], points[3]):
        for problem in make_problems(24):
            follower = Follows(leader.policy, in_order, in_order[-1])
            roll_out(RolloutTrees([problem], 1, MAX_STEPS, judge, scripted_pair()), follower)
            states = follow(problems[problem.id], column_of(leader))["states"]
            assert [state["decisions"] for state in states] == [decisions for decisions, _ in follower.seen]
            beliefs = [belief for _, belief in follower.seen]
            np.testing.assert_allclose([state["belief"] for state in states], beliefs, atol=6e-5)


def test_a_path_stops_where_nothing_is_known(trees, points) -> None:
    policies = [point.policy for point in points]
    steps = roll_out(trees, points[2].policy).steps
    tree = int(np.flatnonzero(steps > 1)[0] // 2 * 2)
    whole = trace(trees, np.array([tree]), policies)
    assert not np.isnan(whole.correct).any()
    trees.nodes["child"][trees.roots()[tree]] = UNKNOWN
    cut = trace(trees, np.array([tree]), policies)
    assert len(cut.node) == 1
    assert cut.child.tolist() == [[UNKNOWN, UNKNOWN]]
    assert np.isnan(cut.correct).all()
    assert outcome_kinds(cut.correct[:, :-2], *cut.correct[:, -2:].T) == ["all-fail"]


def test_the_strong_model_alone_needs_no_drafts(trees, fitted, points) -> None:
    policies = [point.policy for point in points]
    tree = np.array([0])
    spent = roll_out(trees, Threshold(1.1)).strong_tokens[0]
    whole = trace(trees, tree, policies)
    trees.nodes["tokens"][whole.node[1:], KEEP] = UNKNOWN  # as if nobody had asked for any behind the first
    bare = trace(trees, tree, policies)
    assert bare.drafted.tolist() == [True] + [False] * (len(bare.node) - 1)
    assert np.isnan(bare.correct[0, :-1]).all() and bare.correct[0, -1] == whole.correct[0, -1]
    problems = explored(trees, fitted)["problems"]
    first, *others = next(p for p in problems if p["id"] == trees.problem(0).id)["states"]
    assert first["decisions"] and {(s["decisions"], s["belief"], s["steps"][KEEP]) for s in others} == {(None,) * 3}
    path = follow({"states": [first, *others]}, None)
    assert (path["end"], path["strong"]) == (ENDS, spent)


def test_problems_of_every_kind_are_chosen_from_most_split_to_least() -> None:
    right, wrong = np.ones(4), np.zeros(4)
    correct = np.array([[1, 1], [0, 1], [0, 0], [0, 0], [1, 0], [0, 0]])
    weak, strong = np.array([1, 1, 0, 0, 0, 0]), np.array([0, 1, 1, 0, 0, 1])
    found = outcome_kinds(correct.astype(float), weak, strong)
    assert found == ["weak-right", "spoiled", "strong-only", "all-fail", "only-routing", "strong-only"]
    assert outcome_kinds(np.stack([right, wrong], 1), wrong, right) == ["rescued"] * 4
    kinds = ["rescued"] * 20 + ["all-fail"]
    chosen = choose(kinds, np.arange(21), 5)
    assert chosen == [0, 6, 13, 19, 20]
    assert choose(kinds, np.arange(21), 100) == list(range(21))
    assert set(found) <= set(KINDS)


def test_routers_disagree_only_at_one_budget() -> None:
    agree = [[0, 1], [0, 1]]  # each router regenerates at the second budget alone
    differ = [[0, 1], [1, 1]]
    decisions = np.array([agree, differ, differ], dtype=bool)
    assert disagreements(decisions, np.array([0, 1, 1]), 3).tolist() == [0, 2, 0]


def test_the_page_holds_the_data_and_asks_for_nothing(trees, fitted) -> None:
    trees.problems = [
        replace(p, text="</script><script>alert(1)</script><!-- & \u2028 é" if i == 0 else p.text)
        for i, p in enumerate(trees.problems)
    ]
    data = explored(trees, fitted)
    page = render([data], "a <b>")
    held = json.loads(DATA.search(page)[1])
    assert held["experiment"] == "a <b>"
    assert held["datasets"] == [data]
    assert held["datasets"][0]["problems"][0]["text"].startswith("</script>")
    assert page.count("</script>") == page.count("<script") == 2
    assert "\u2028" not in page and "alert(1)</" not in page
    assert not re.search(r"https?:|src=|@import|url\(|innerHTML|eval\(", page.replace(script_safe(held), ""))


def test_the_same_forest_gives_the_same_page(make_problems, trees, fitted) -> None:
    again = known_trees(make_problems(30), trees.table())
    assert render([explored(trees, fitted, 9)], "x") == render([explored(again, fitted, 9)], "x")
    assert len(explored(trees, fitted, 9)["problems"]) == 9


def test_steps_of_arithmetic_are_checked(fitted) -> None:
    problem = Problem("a-0", "arith", "5 a+1?", "6", "0")
    table = pd.DataFrame(
        {
            "problem_id": ["a-0", "a-0"],
            "replicate": [0, 0],
            "parent": [UNKNOWN, 0],
            "position": [0, 1],
            "prm_tokens": [3, 3],
            **{f"tokens_{who}": [4, 2] for who in ("draft", "strong")},
            **{f"prompt_tokens_{who}": [4, 2] for who in ("draft", "strong")},
            **{f"score_{who}": [0.5, 0.5] for who in ("draft", "strong")},
            **{f"final_{who}": [False, True] for who in ("draft", "strong")},
            **{f"correct_{who}": [False, True] for who in ("draft", "strong")},
            **{f"correct_strict_{who}": [False, True] for who in ("draft", "strong")},
            "child_draft": [UNKNOWN, ENDS],
            "child_strong": [1, ENDS],
            "text_draft": ["a:5+1=7\n\n", "\\boxed{6}"],
            "text_strong": ["a:5+1=6\n\n", "\\boxed{6}"],
            "answer_draft": [None, "6"],
            "answer_strong": [None, "6"],
        }
    )
    thresholds = {"trim-thr": fitted["trim-thr"]}
    data = explore_dataset(known_trees([problem], table), curve_table(), thresholds, "home", 1, labelled=True)
    first, last = data["problems"][0]["states"]
    assert [step["valid"] for step in first["steps"]] == [False, True]
    assert last["steps"][REGENERATE] == {
        "text": "\\boxed{6}",
        "tokens": 2,
        "score": 0.5,
        "valid": True,
        "answer": "6",
        "correct": True,
    }
    assert data["problems"][0]["kind"] == "rescued"
