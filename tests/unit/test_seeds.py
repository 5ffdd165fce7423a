"""Verdicts over several runs of the pipeline: what is counted, what is refused, what is drawn."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from figure_inputs import claims_table
from typer.testing import CliRunner

from trim.cli import app
from trim.errors import InputError
from trim.evaluation.claims.seeds import analogues, count_verdicts, read_ledgers
from trim.figures import claims
from trim.files import read_csv, write_csv, write_json

pytestmark = pytest.mark.usefixtures("no_open_figures")


def ledger(ours: Sequence[float] = (2, 0.2, 0.7), verdicts: Sequence[str] = ("holds", "undecided", "fails")) -> Any:
    """Return a ledger whose first three statements have these estimates and verdicts; the fourth is not tested."""
    table = claims_table().assign(claim="it is so")
    table.loc[:2, "ours"], table.loc[:2, "verdict"] = list(ours), list(verdicts)
    return table


RUNS = {
    "seed-1": ledger(),
    "seed-2": ledger((4, -0.2, 0.8), ("holds", "fails", "fails")),
    "seed-3": ledger((3, np.nan, 0.99), ("undecided", "holds", "holds")),
}


def counted(**options: Any) -> pd.DataFrame:
    return count_verdicts({name: analogues(run) for name, run in RUNS.items()}, **options)


def written(folder: Path, tables: dict[str, pd.DataFrame], seeds: Sequence[int] = (1, 2, 3)) -> list[Path]:
    for (name, table), seed in zip(tables.items(), seeds, strict=True):
        write_csv(table, folder / name / "tables" / "claims.csv")
        origin = {"seed": seed, "code": f"0.1+{min(seed, 2)}", "config_hash": "0123456789ab"}
        write_json(origin, folder / name / "tables" / "provenance.json")
    return [folder / name for name in tables]


def test_verdicts_are_counted_and_estimates_have_a_spread() -> None:
    table = counted().set_index(["key", "dataset"])
    assert len(table) == 4  # and no number of the paper among them
    first, second, untested = table.loc["a", "arith"], table.loc["a", "arith-hard"], table.loc["c", "one than on two"]
    assert first[["verdict", "runs", "holds", "fails", "undecided", "estimates"]].tolist() == ["2 of 3", 3, 2, 0, 1, 3]
    assert first[["estimate", "spread", "lowest", "highest"]].tolist() == [3, 1, 2, 4]
    assert second[["verdict", "holds", "fails", "undecided", "estimates"]].tolist() == ["1 of 3", 1, 1, 1, 2]
    assert second["estimate"] == pytest.approx(0)
    assert (untested["verdict"], untested["runs"], untested["estimates"]) == ("not tested", 0, 0)
    assert np.isnan(untested["estimate"])
    assert table["failed_training"].sum() == table.loc[("b", "arith"), "failed_training"] == 3


def test_a_run_in_which_a_statement_was_not_tested_does_not_count() -> None:
    runs = {"one": analogues(ledger()), "two": analogues(ledger(verdicts=("not tested", "fails", "fails")))}
    table = count_verdicts(runs)
    assert table["verdict"].tolist() == ["1 of 1", "0 of 2", "0 of 2", "not tested"]
    runs["two"] = runs["two"].assign(failed_training="a hole")
    assert count_verdicts(runs)["failed_training"].tolist() == [0, 1, 2, 0]


def test_a_statement_that_some_runs_make_alone_is_of_those() -> None:
    other = analogues(ledger()).replace({"dataset": {"arith-hard": "arith-words"}})
    table = count_verdicts({"one": analogues(ledger()), "two": other}).set_index(["key", "dataset"])
    assert table.loc["a", "runs"].to_dict() == {"arith": 2, "arith-hard": 1, "arith-words": 1}


def test_another_experiment_stands_beside() -> None:
    table = counted(beside=analogues(ledger((9, 9, 9))).head(2))
    assert table["beside"].tolist() == ["holds", "undecided", "", ""]
    assert table["beside_ours"].tolist()[:2] == [9, 9]


def test_the_same_seed_twice_and_an_unfinished_run_are_refused(tmp_path: Path) -> None:
    folders = written(tmp_path, RUNS, (1, 2, 1))
    with pytest.raises(InputError, match=r"seed-1 and .*seed-3 are both of seed 1"):
        read_ledgers(folders)
    with pytest.raises(InputError, match=r"seed-4/tables/claims.csv: no such file; run"):
        read_ledgers([*folders[:2], tmp_path / "seed-4"])


def test_two_runs_of_one_name_are_refused(tmp_path: Path) -> None:
    here, there = (written(tmp_path / name, {"embedded": ledger()}, [seed])[0] for name, seed in (("a", 1), ("b", 2)))
    with pytest.raises(InputError, match="b/embedded: another run is called embedded too; rename"):
        read_ledgers([here, there])


def test_the_command_writes_a_table_and_a_figure(tmp_path: Path) -> None:
    folders, out = written(tmp_path, RUNS), tmp_path / "seeds"
    beside = written(tmp_path, {"embedded": ledger()}, [2026])[0]
    for role, in_band in (("weak", True), ("strong", False)):
        metrics = {"picked": {"accuracy": 0.45}, "accuracy_band": [0.8, 0.95], "in_band": in_band}
        write_json(metrics, folders[1] / "models" / role / "metrics.json")
    write_json({"epochs": 3}, folders[1] / "models/prm-verifier/metrics.json")
    result = CliRunner().invoke(app, ["seeds", *map(str, folders), "--out", str(out), "--beside", str(beside)])
    assert result.exit_code == 0, result.output
    assert "2 of 3: it is so" in result.output
    assert "made with different code: 0.1+1, 0.1+2, 0.1+2" in result.output
    assert "seed-2: the strong model solves 45% of the dev problems, and was to solve 80% to 95%" in result.output
    assert "weak model" not in result.output
    pd.testing.assert_series_equal(read_csv(out / "seeds.csv")["verdict"], counted()["verdict"])
    assert {path.name for path in out.iterdir()} >= {"seeds.csv", "seeds.pdf", "seeds.png"}
    assert CliRunner().invoke(app, ["seeds", str(tmp_path / "none"), "--out", str(out)]).exit_code == 1


def test_runs_share_a_line_and_say_in_how_many_it_holds() -> None:
    figure = claims.draw(pd.concat(RUNS.values(), ignore_index=True))
    takeover, gap, noise = figure.axes
    names = [[label.get_text() for label in axes.get_yticklabels()] for axes in figure.axes]
    assert names == [
        ["TRIM-Thr: arith (2 of 3)", "TRIM-Thr: arith-hard (1 of 3)"],
        ["all that look ahead: arith (1 of 3)"],
        ["TRIM-Agg: one minus two"],
    ]
    _, paper, span, *runs = [line for line in takeover.get_lines() if list(line.get_ydata())[0] == 0]
    assert list(paper.get_xdata()) == [3.5]
    assert list(span.get_xdata()) == [2, 4]
    assert [list(line.get_xdata()) for line in runs] == [[2], [4], [3]]
    assert [line.get_marker() for line in runs] == ["o", "o", "D"]
    assert [line.get_marker() for line in gap.get_lines()][-3:] == ["X", "X", "o"]
    assert [text.get_text() for text in noise.texts] == ["not tested"]


ROOT = Path(__file__).parents[2]


def test_what_the_page_says_of_the_seeds_is_what_is_kept() -> None:
    kept = read_csv(ROOT / "docs/results/embedded.seeds.csv")
    page = " ".join((ROOT / "docs/embedded.md").read_text(encoding="utf-8").split())
    holding = kept[kept["beside"].eq("holds")]
    of_five, of_four = (int(holding["verdict"].eq(f"{k} of 5").sum()) for k in (5, 4))
    fewer = holding[holding["holds"] < 4]
    counts = f"{of_five} hold in all five, {of_four} in four, {len(fewer)} in fewer"
    assert f"Of the {len(holding)} statements that hold by default, {counts}" in page
    assert fewer["method"].str.fullmatch(r"TRIM-(Agg|Seq)( at \d0%)?|Every look-ahead router").all()
    assert fewer["fails"].gt(0).sum() == 2 and "two of the five fail in some run" in page
    assert not kept.loc[kept["beside"].eq("fails"), "holds"].any()
    by = kept.set_index(["key", "dataset", "method"])
    assert by.loc[("learned", "arith", "Every look-ahead router"), ["verdict", "failed_training"]].tolist() == [
        "5 of 5",
        2,
    ]
    for name in ("Agg", "Seq", "POMDP"):
        row = by.loc["learned", "arith", f"TRIM-{name}"]
        assert row.highest < row.beside_ours
    default = read_csv(ROOT / "docs/results/embedded.claims.csv").set_index(["key", "dataset", "method"])
    planner = ("learned", "arith", "TRIM-POMDP")
    assert by.loc[planner, "highest"] < default.loc[planner, "lo"]
    for more in (("learned-budget", "arith", "TRIM-POMDP at 20%"), ("noisy-prm", "arith", "TRIM-POMDP")):
        assert by.loc[more, "estimate"] > by.loc[more, "beside_ours"]
    hull = {
        (router, data): by.loc[("learned-hull", data, f"TRIM-{router}"), ["holds", "fails"]].tolist()
        for router in ("Agg", "Seq")
        for data in ("arith", "arith-hard")
    }
    assert hull["Seq", "arith-hard"] == [0, 2] and hull["Agg", "arith-hard"] == [2, 1]
    assert hull["Agg", "arith"][0] == 5 and hull["Seq", "arith"][0] == 4
    late = kept[kept["key"].eq("learned-budget") & kept["method"].str.contains("at [3-6]0%")]
    assert len(late) == 12 and not late["holds"].any()
    worse = {
        name: [by.loc[("learned-budget", "arith", f"TRIM-{name} at {share}%"), "fails"] for share in (50, 60)]
        for name in ("Agg", "Seq", "POMDP")
    }
    assert worse == {"Agg": [2, 2], "Seq": [1, 1], "POMDP": [1, 2]} and late["fails"].sum() == 9


def test_the_page_shows_leads_with_other_seeds_and_before() -> None:
    now, before = (
        read_csv(ROOT / "docs" / path).query("key == 'learned'").set_index(["method", "dataset"])
        for path in ("results/embedded.seeds.csv", "measured/seeds_before.csv")
    )
    page = (ROOT / "docs/embedded.md").read_text(encoding="utf-8").split("## With other seeds")[1]
    lines = page.split("|---|", 1)[1].split("\n\n")[0].splitlines()[1:]
    shown = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]

    def text(number: float) -> str:
        return f"{number:.2f}".removeprefix("0")

    wanted = []
    for router in ("TRIM-POMDP", "TRIM-Agg", "TRIM-Seq"):
        for data in ("arith", "arith-hard", "arith-words"):
            row = now.loc[(router, data)]
            span = f"{text(row.estimate)} ({text(row.lowest)} to {text(row.highest)})"
            cells = [router, data, text(row.beside_ours), span, str(row.holds), str(row.failed_training or "–")]
            old = before.loc[(router, data)] if (router, data) in before.index else None
            told = ["", "", ""] if old is None else [text(old.estimate), str(old.holds), str(old.failed_training)]
            wanted.append([*cells, *told])
    assert shown == wanted
