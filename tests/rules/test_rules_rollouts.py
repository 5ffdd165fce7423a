"""Rules of rollouts, scores and trees, each alone: what it leaves, and that it is what the whole run left."""

import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from rule_outputs import KEYS, SIZES, assert_same, origin
from run_rule import run_rule
from smoke import RESULTS

from trim.files import write_parquet
from trim.problems.arithmetic import step_labels
from trim.problems.problem import read_problems

SHARDS = ("--set-scatter", "shard=3")
SECOND = "2-of-3"


def part_of(problems: Path, scatteritem: str) -> set[str]:
    """Ids of the problems of one part."""
    index, _, count = scatteritem.partition("-of-")
    return {problem.id for problem in read_problems(problems)[int(index) - 1 :: int(count)]}


def rows_of(table: pd.DataFrame, ids: set[str]) -> pd.DataFrame:
    return table[table["problem_id"].isin(ids)].sort_values(KEYS, ignore_index=True)


def test_collect_rollouts(smoke_copy: Path) -> None:
    """A part by itself, with nothing in the store, is that part of the whole."""
    shutil.rmtree(smoke_copy / "step_store")
    target = RESULTS / f"rollouts/shards/arith.test.{SECOND}.parquet"
    run_rule("collect_rollouts", smoke_copy, target, options=SHARDS)
    whole = pd.read_parquet(smoke_copy / RESULTS / "rollouts/arith.test.parquet")
    problems = smoke_copy / RESULTS / "problems/arith/test.jsonl"
    ids = part_of(problems, SECOND)
    steps = pd.read_parquet(smoke_copy / target)
    assert set(steps["problem_id"]) == ids
    pd.testing.assert_frame_equal(rows_of(steps, ids), rows_of(whole, ids))

    texts = {problem.id: problem.text for problem in read_problems(problems)}
    solutions = steps.groupby(["problem_id", "replicate", "behaviour"])
    assert len(solutions) == len(ids) * 3
    for (problem, _, behaviour), solution in solutions:
        assert list(solution["position"]) == list(range(len(solution)))
        assert list(solution["valid"]) == step_labels(texts[problem], list(solution["text"]))
        authors = {"weak-only": {"weak"}, "strong-only": {"strong"}, "mixed": {"weak", "strong"}}[behaviour]
        assert set(solution["author"]) <= authors
        assert len(solution) <= 6
        assert all(text.endswith("\n\n") for text in solution["text"][:-1])
        assert solution["tokens"].between(1, 16).all()
    assert {"weak", "strong"} == set(steps.loc[steps["behaviour"] == "mixed", "author"])
    assert origin(smoke_copy / target)["packages"]["torch"]


def test_score_rollouts(smoke_copy: Path) -> None:
    """A part by itself, with nothing in the store, is that part of the whole, to the last bit of every score."""
    shutil.rmtree(smoke_copy / "step_store")
    target = RESULTS / f"scores/shards/verifier/arith.test.{SECOND}.parquet"
    run_rule("score_rollouts", smoke_copy, target, options=SHARDS)
    whole = pd.read_parquet(smoke_copy / RESULTS / "scores/verifier/arith.test.parquet")
    ids = part_of(smoke_copy / RESULTS / "problems/arith/test.jsonl", SECOND)
    scores = pd.read_parquet(smoke_copy / target)
    assert set(scores["problem_id"]) == ids
    pd.testing.assert_frame_equal(rows_of(scores, ids), rows_of(whole, ids), check_exact=True)
    assert scores["score"].between(0, 1).all()
    assert scores["score"].nunique() > 10


@pytest.mark.parametrize(("rule", "room"), [("gather_rollouts", "rollouts"), ("gather_scores", "scores/verifier")])
def test_gather(rule: str, room: str, smoke_copy: Path, smoke_run: Path) -> None:
    target = RESULTS / room / "arith.test.parquet"
    table, made = pd.read_parquet(smoke_copy / target), origin(smoke_copy / target)
    shuffled = np.random.default_rng(0).permutation(len(table))
    head, _, tail = room.partition("/")
    shards = smoke_copy / RESULTS / head / "shards" / tail
    shards.mkdir(parents=True, exist_ok=True)
    for index in range(3):
        write_parquet(table.iloc[shuffled[index::3]], shards / f"arith.test.{index + 1}-of-3.parquet", made)
    run_rule(rule, smoke_copy, target, options=SHARDS)
    assert_same(smoke_copy, smoke_run, target)
    steps = pd.read_parquet(smoke_copy / target)
    assert not steps.duplicated(KEYS).any()
    assert steps[KEYS].equals(steps[KEYS].sort_values(KEYS, ignore_index=True))


@pytest.mark.parametrize("split", ["router_train", "dev"])
def test_grow_trees(split: str, smoke_copy: Path, smoke_run: Path) -> None:
    """With nothing in the store, the trees are the same, and whole."""
    shutil.rmtree(smoke_copy / "step_store")
    target = RESULTS / f"trees/arith.{split}.parquet"
    run_rule("grow_trees", smoke_copy, target)
    assert_same(smoke_copy, smoke_run, target)
    nodes = pd.read_parquet(smoke_copy / target)
    roots = nodes[nodes["parent"] < 0]
    assert len(roots) == 2 * SIZES[split] == len(roots.drop_duplicates(["problem_id", "replicate"]))
    for who in ("draft", "strong"):
        assert (nodes[f"child_{who}"] != -1).all()
        assert ((nodes[f"child_{who}"] == -2) == nodes[f"final_{who}"]).all()
        assert (nodes[f"tokens_{who}"] > 0).all()
    assert nodes["score_draft"].between(0, 1).all()
