"""Query-level baselines: what is known before they choose, and what their choices cost."""

from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pandas as pd
import pytest

from trim.models.protocols import ModelPair
from trim.problems.grading import Grader
from trim.problems.problem import Problem
from trim.rollout.costs import COSTS
from trim.rollout.engine import Run, solve_all
from trim.routers.controls import StrongOnly, WeakOnly
from trim.routers.query_level.disk import Policy
from trim.routers.query_level.evidence import Evidence, every_replicate
from trim.routers.query_level.options import (
    ORACLE_SHARES,
    Options,
    gather_evidence,
    oracle_table,
    route_table,
    solve_whole,
)
from trim.routers.threshold import Threshold

MakePair = Callable[[], ModelPair]
MakeProblems = Callable[[int], list[Problem]]
REPLICATES = 2


@pytest.fixture(scope="module")
def grader() -> Iterator[Grader]:
    with Grader() as grader:
        yield grader


@pytest.fixture
def solved(scripted_pair: MakePair, make_problems: MakeProblems, grader: Grader) -> pd.DataFrame:
    return solve_whole(make_problems(12), scripted_pair(), REPLICATES, 2, 30, grader, exact=True)


def alone(pair: ModelPair, problems: list[Problem], router: Any, replicates: int) -> np.ndarray:
    """Costs of episodes, shape (problems, replicates, kinds of cost)."""
    episodes = solve_all([Run(p, router, r) for p in problems for r in range(replicates)], pair, 30)
    costs = [list(asdict(episode.costs).values()) for episode in episodes]
    return np.array(costs).reshape(len(problems), replicates, len(COSTS))


def paid(options: list[pd.DataFrame]) -> list[dict[str, np.ndarray]]:
    return [{name: rows[name].to_numpy().reshape(-1, REPLICATES) for name in COSTS} for rows in options]


@dataclass(frozen=True)
class Paid:
    """What the options are held against: costs of weak, read and strong solutions, (problems, replicates, kinds)."""

    options: Options
    weak: np.ndarray
    read: np.ndarray
    strong: np.ndarray

    @property
    def once(self) -> np.ndarray:
        """What the PRM reads of a whole solution in one call: what it had to read for its last step."""
        return self.read[:, :, AT["prm_tokens"]] - self.read[:, :, AT["prm_cached_tokens"]]


AT = {name: i for i, name in enumerate(COSTS)}


@pytest.fixture
def known(solved: pd.DataFrame, scripted_pair: MakePair, make_problems: MakeProblems) -> Paid:
    problems, pair = make_problems(12), scripted_pair()
    weak, read = (alone(pair, problems, router, 3) for router in (WeakOnly(), Threshold(0.0)))
    # Written in one go, a solution costs the tokens that its last step had to have read.
    weak[:, :, AT["weak_input_tokens"]] = read[:, :, AT["weak_input_tokens"]] - read[:, :, AT["weak_cached_tokens"]]
    return Paid(Options(solved, problems, 2), weak, read, alone(pair, problems, StrongOnly(), REPLICATES))


def test_a_whole_solution_is_paid_to_the_token(known: Paid) -> None:
    for i, expected in enumerate((known.weak[:, :REPLICATES], known.strong)):
        for name in COSTS:
            np.testing.assert_array_equal(paid(known.options.of("bert"))[i][name], expected[:, :, AT[name]])


def test_samples_that_verify_are_paid_to_the_token(known: Paid) -> None:
    tokens, calls = known.weak[:, :, AT["weak_tokens"]], known.weak[:, :, AT["weak_calls"]]
    kept, routed = paid(known.options.of("automix"))
    others = np.stack([tokens[:, [1, 2]].sum(1), tokens[:, [2, 0]].sum(1)], axis=1)
    for option in (kept, routed):
        assert (option["prm_tokens"] == 0).all()
        np.testing.assert_array_equal(option["weak_calls"], np.repeat(calls.sum(1)[:, None], 2, axis=1))
    np.testing.assert_array_equal(kept["weak_tokens"], tokens[:, :2])
    np.testing.assert_array_equal(kept["discarded_tokens"], others)
    np.testing.assert_array_equal(routed["discarded_tokens"], others + tokens[:, :2])
    assert (kept["strong_tokens"] == 0).all() and (routed["weak_tokens"] == 0).all()
    np.testing.assert_array_equal(routed["strong_tokens"], known.strong[:, :, AT["strong_tokens"]])


@pytest.mark.parametrize("router", ["automix-prm", "frugal"])
def test_a_solution_that_is_read_is_paid_to_the_token(router: str, known: Paid) -> None:
    kept, routed = paid(known.options.of(router))
    for option in (kept, routed):
        np.testing.assert_array_equal(option["prm_tokens"], known.once[:, :2])
        assert (option["prm_calls"] == 1).all()
        for name in ("weak_input_tokens", "weak_calls"):
            np.testing.assert_array_equal(option[name], known.weak[:, :2, AT[name]])
    assert (kept["discarded_tokens"] == 0).all()
    np.testing.assert_array_equal(routed["discarded_tokens"], known.weak[:, :2, AT["weak_tokens"]])
    np.testing.assert_array_equal(routed["strong_calls"], known.strong[:, :, AT["strong_calls"]])


def test_solutions_that_compete_are_paid_to_the_token(known: Paid) -> None:
    best = paid(known.options.of("best-route"))
    assert len(best) == 4
    assert (best[0]["prm_tokens"] == 0).all()  # nothing to compare it with
    for size in (2, 3):
        competing = [[(r + i) % 3 for i in range(size)] for r in range(REPLICATES)]
        sums = np.stack([known.weak[:, columns].sum(1) for columns in competing], axis=1)
        looks = np.stack([known.once[:, columns].sum(1) for columns in competing], axis=1)
        option = best[size - 1]
        np.testing.assert_array_equal(option["weak_tokens"] + option["discarded_tokens"], sums[:, :, AT["weak_tokens"]])
        for name in ("weak_calls", "weak_input_tokens", "strong_tokens"):
            np.testing.assert_array_equal(option[name], sums[:, :, AT[name]])
        np.testing.assert_array_equal(option["prm_tokens"], looks)
        assert (option["prm_calls"] == size).all()


def test_best_of_n_is_what_the_prm_likes_best(solved: pd.DataFrame, make_problems: MakeProblems) -> None:
    weak = solved[solved["router"] == "weak-only"].set_index(["problem_id", "replicate"])
    rows = Options(solved, make_problems(12), 2).of("best-route")[2]
    for row in rows.to_dict("records"):
        best = max(weak.loc[row["problem_id"]].to_dict("records"), key=lambda solution: solution["product"])
        assert (row["answer"], row["correct"], row["weak_tokens"]) == (
            best["answer"],
            best["correct"],
            best["weak_tokens"],
        )


def test_agreement_is_the_share_of_samples_with_the_same_answer(
    solved: pd.DataFrame, make_problems: MakeProblems
) -> None:
    weak = solved[solved["router"] == "weak-only"]
    answers = weak.pivot(index="problem_id", columns="replicate", values="answer")
    for row in weak[weak["replicate"] < REPLICATES].to_dict("records"):
        mine = answers.loc[row["problem_id"], row["replicate"]]
        others = [answers.loc[row["problem_id"], (row["replicate"] + i) % 3] for i in (1, 2)]
        expected = 0 if pd.isna(mine) else np.mean([other == mine for other in others])
        assert row["agreement"] == expected
    assert 0 < weak["agreement"].mean() < 1
    assert gather_evidence(solved, make_problems(12), np.zeros((12, 1))).agreement.shape == (12, REPLICATES)


def test_a_row_an_episode_at_every_operating_point(solved: pd.DataFrame, make_problems: MakeProblems) -> None:
    class Foreseen:
        def doubts(self, evidence: Evidence) -> np.ndarray:
            return every_replicate(np.arange(12) / 12, evidence.replicates)

    problems = make_problems(12)
    evidence = gather_evidence(solved, problems, np.zeros((12, 1)))
    table = route_table([Policy("mf", "default", Foreseen(), (0.25, 0.5))], evidence, Options(solved, problems, 2))
    assert len(table) == 2 * 12 * REPLICATES
    for threshold, part in table.groupby("operating_point"):
        routed = part["problem_id"].map({p.id: i / 12 >= threshold for i, p in enumerate(problems)})
        assert part["authors"].str.fullmatch("s+").tolist() == routed.tolist()
        models = solved.set_index(["router", "problem_id", "replicate"])["correct"]
        names = np.where(routed, "strong-only", "weak-only")
        keys = zip(names, part["problem_id"], part["replicate"], strict=True)
        assert part["correct"].tolist() == [models[key] for key in keys]
    assert set(solved) - {"agreement", "minimum", "product", "last", "mean"} == set(table)
    assert set(table["router"]) == {"mf"}


def test_the_oracle_sends_what_the_strong_model_alone_gets_right(solved: pd.DataFrame) -> None:
    ends = solved[solved["replicate"] < REPLICATES]
    table = oracle_table(ends)
    correct = ends.pivot(index=["problem_id", "replicate"], columns="router", values="correct").astype(bool)
    gained = correct["strong-only"] & ~correct["weak-only"]
    assert gained.sum() > 2
    means = table.groupby(["variant", "operating_point"])[["correct", "strong_tokens"]].sum()
    for variant in ("cheapest-first", "dearest-first"):
        won = [round(share * gained.sum()) for share in ORACLE_SHARES]
        assert means.loc[variant]["correct"].tolist() == [correct["weak-only"].sum() + n for n in won]
    cheap, dear = (means.loc[variant]["strong_tokens"] for variant in ("cheapest-first", "dearest-first"))
    assert (cheap <= dear).all() and cheap.iloc[-1] == dear.iloc[-1] and cheap.iloc[1] < dear.iloc[1]
