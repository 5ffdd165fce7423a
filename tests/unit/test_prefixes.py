"""Labelled prefixes: what stands in the table, and what decisions are worth by it."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from trim.cli import app
from trim.config.experiment import Bootstrap
from trim.errors import InputError
from trim.evaluation.prefixes import KAPPAS, Decided, score_decisions, score_routers
from trim.files import write_parquet
from trim.layouts import PREFIXES
from trim.problems.problem import Problem, write_problems
from trim.rollout.trees import ENDS, KEEP, REGENERATE, RolloutTrees
from trim.routers.controls import StrongOnly
from trim.routers.prefixes import LabelledPrefixes
from trim.routers.threshold import OneStepTakeover, Threshold

MAX_STEPS = 8


def judge(answer: str | None, problem: Problem) -> tuple[bool, bool]:
    return (answer == problem.answer,) * 2


@pytest.fixture
def trees(make_problems, scripted_pair) -> RolloutTrees:
    grown = RolloutTrees(make_problems(8), 2, MAX_STEPS, judge, scripted_pair())
    grown.grow_fully(10_000)
    return grown


def follow(trees: RolloutTrees, node: int, first: int, then: int) -> tuple[float, int]:
    """Walk one path by hand: whether it ends right, and its strong tokens."""
    action, tokens = first, 0
    while True:
        tokens += int(trees.nodes["tokens"][node, REGENERATE]) * action
        child = int(trees.nodes["child"][node, action])
        if child == ENDS:
            return float(trees.nodes["correct"][node, action]), tokens
        node, action = child, then


def test_labels_are_what_paths_bring(trees: RolloutTrees) -> None:
    table = LabelledPrefixes.of(trees).table()
    assert len(table) == len(trees) and table["prefix"].is_unique
    for node in range(0, len(trees), 3):
        row = table.iloc[node]
        assert (row["text"], row["draft"]) == (trees.prefix(node).text, trees.text(node, KEEP))
        for first, does in enumerate(("keep", "regenerate")):
            for then, who in enumerate(("weak", "strong")):
                found = row[f"{does}_{who}_right"], row[f"{does}_{who}_tokens"]
                assert found == pytest.approx(follow(trees, node, first, then))


def small() -> pd.DataFrame:
    """Two prefixes: one where regenerating mends the answer for 10 tokens of 100, one where it does nothing for 20."""
    plain = {name: ["", ""] for name, column in PREFIXES.items() if column.kind == "text"}
    table = pd.DataFrame(plain | {name: [0, 0] for name, column in PREFIXES.items() if column.kind != "text"})
    return table.assign(
        prefix=["a/0/", "b/0/"],
        weight=[3.0, 1.0],
        solution_tokens=100.0,
        regenerate_weak_right=[1.0, 0.0],
        regenerate_weak_tokens=[10.0, 20.0],
        regenerate_strong_right=[0.0, 0.0],
        regenerate_strong_tokens=[10.0, 20.0],
    )


def decided(a: int, b: int) -> pd.DataFrame:
    return pd.DataFrame({"prefix": ["b/0/", "a/0/"], "regenerate": [b, a]})


def test_decisions_are_scored_by_what_they_bring_and_spend() -> None:
    scored = score_decisions(small(), decided(1, 0), [1.0]).set_index("continuation")
    assert scored.loc["weak"].drop("kappa").tolist() == pytest.approx([2, 0.75, 0.675, 0.625, 0.675])
    assert scored.loc["strong"].drop("kappa").tolist() == pytest.approx([2, 0.75, -0.075, -0.125, 0])
    kept = score_decisions(small(), decided(0, 0), [0.1, 9.0])
    assert (kept["gain"] == 0).all() and kept["kappa"].tolist() == [0.1, 9.0, 0.1, 9.0]


def test_policies_decide_at_the_prefixes_of_the_table(trees: RolloutTrees) -> None:
    prefixes, takeover = LabelledPrefixes.of(trees), OneStepTakeover(0.4)
    table = prefixes.table()
    always, below, taken = prefixes.decide([StrongOnly(), Threshold(0.4), takeover])
    assert always.all() and 0 < below.mean() < 1
    assert (below == (table["score"] < 0.4)).all()
    after_strong = table["authors"].str.endswith("s")
    assert (taken == (below | after_strong)).all() and after_strong.any()


def test_whole_problems_are_labelled_up_to_a_number(trees: RolloutTrees) -> None:
    whole = LabelledPrefixes.of(trees).table()
    most = int((whole["problem_id"].isin([problem.id for problem in trees.problems[:3]])).sum())
    part = LabelledPrefixes.of(trees, most).table()
    assert len(part) == most and part["problem_id"].nunique() == 3
    assert LabelledPrefixes.of(trees, most - 1).table()["problem_id"].nunique() == 2
    expected = whole[whole["problem_id"].isin(part["problem_id"])].reset_index(drop=True)
    pd.testing.assert_frame_equal(part, expected)
    assert LabelledPrefixes.of(trees, most).decide([Threshold(0.4)]).shape == (1, len(part))


def test_operating_points_are_chosen_on_dev_and_read_on_test() -> None:
    table = small().assign(problem_id=["a", "b"], replicate=0)
    neither, first, both = np.array([[False, False], [True, False], [True, True]])
    dev = {
        ("trim-thr", "default"): Decided(table, (0.0, 1.0), np.stack([neither, both])),
        ("ours", "default"): Decided(table, (3.0, 0.3), np.stack([neither, first])),
    }
    # On test, regenerating mends nothing: what dev chose is read all the same.
    test = {
        key: Decided(table.assign(regenerate_weak_right=0.0), decided.settings, decided.regenerate)
        for key, decided in dev.items()
    }
    scored = score_routers(dev, test, Bootstrap(resamples=20), "seed").set_index(["router", "continuation", "kappa"])
    ours, threshold = scored.loc[("ours", "weak", 1.0)], scored.loc[("trim-thr", "weak", 1.0)]
    assert (ours["operating_point"], ours["regenerated"]) == (0.3, 0.75)
    assert (threshold["operating_point"], threshold["regenerated"]) == (1.0, 1.0)
    assert (ours["gain"], threshold["gain"]) == (pytest.approx(-0.075), pytest.approx(-0.125))
    assert ours["over_threshold"] == pytest.approx(0.05) and threshold["over_threshold"] == 0
    assert ours["over_threshold_lo"] <= ours["over_threshold"] <= ours["over_threshold_hi"]
    assert (scored["gain_in_hindsight"] == 0).all()
    expected = score_decisions(test[("ours", "default")].table, decided(1, 0), [1.0]).set_index("continuation")
    assert ours["gain"] == pytest.approx(expected.loc["weak", "gain"])


@pytest.mark.parametrize(
    ("spoil", "sentence"),
    [
        (lambda rows: rows.rename(columns={"regenerate": "again"}), "there is no column 'regenerate'; .*"),
        (lambda rows: rows.assign(regenerate=0.5), "the column 'regenerate' must hold 0 or 1 in every row"),
        (lambda rows: pd.concat([rows, rows]), "prefix 'b/0/' has two rows; leave one"),
        (lambda rows: rows.assign(prefix=["b/0/", "c/0/"]), "prefix 'c/0/' is not in the table; .*"),
        (lambda rows: rows[:1], "prefix 'a/0/' has no row; .*"),
        (lambda rows: rows.assign(prefix=[np.nan, "c/0/"]), "a row has no prefix; .*"),
    ],
)
def test_decisions_that_do_not_fit_are_one_sentence(spoil: Callable[..., pd.DataFrame], sentence: str) -> None:
    with pytest.raises(InputError, match=f"^decisions: {sentence}$"):
        score_decisions(small(), spoil(decided(1, 0)), [1.0])


def test_the_command_labels_and_scores(trees: RolloutTrees, tmp_path: Path) -> None:
    paths = [tmp_path / name for name in ("trees.parquet", "problems.jsonl", "table.parquet", "decisions.csv")]
    write_parquet(trees.table(), paths[0], {})
    write_problems(trees.problems, paths[1])
    run = CliRunner().invoke
    said = run(app, ["prefixes", "label", *map(str, paths[:3])])
    assert said.exit_code == 0 and said.output.endswith(f"table.parquet: {len(trees)} prefixes\n")
    table = LabelledPrefixes.of(trees).table()
    rows = table[["prefix"]].assign(regenerate=(np.arange(len(table)) % 2))
    rows.to_csv(paths[3], index=False)
    said = run(app, ["prefixes", "score", *map(str, paths[2:]), "--kappa", "0.5"])
    assert said.exit_code == 0
    expected = score_decisions(table, rows, [0.5]).to_csv(index=False, float_format="%.4g")
    assert said.output == expected
    said = run(app, ["prefixes", "score", *map(str, paths[2:])])
    assert said.output == score_decisions(table, rows, KAPPAS).to_csv(index=False, float_format="%.4g")
    paths[3].write_text("")
    said = run(app, ["prefixes", "score", *map(str, paths[2:])])
    assert said.exit_code == 1 and "no CSV" in said.output and "Traceback" not in said.output
