"""What the generated block of the README says of claims and training."""

import shutil
from pathlib import Path

import pandas as pd
import pytest
from smoke import ROOT

from trim.config.experiment import Experiment
from trim.documents.readme import fill_readme, render_results
from trim.errors import InputError
from trim.evaluation.claims.seeds import statement
from trim.files import write_csv, write_json

NAN = float("nan")
CLAIM = {
    "scope": "analogue",
    "source": "Table 1",
    "measure": "delta IBC",
    "claim": "Something holds",
    "dataset": "arith",
    "method": "TRIM-Thr",
    "bar": 4.0,
    "paper_value": 5.0,
}
CLAIM |= {"ours": 2.0, "lo": 1.0, "hi": 3.0, "conditions": "PRM verifier; one seed"}


@pytest.fixture
def results(tmp_path: Path) -> Path:
    factor = {"factor": 2.6, "factor_lo": 2.4, "factor_hi": 2.9, "paper_factor": 2.9}
    claims = [
        CLAIM | factor | {"key": "five-fold", "headline": "efficiency", "verdict": "holds"},
        CLAIM | {"key": "learned", "headline": NAN, "verdict": "holds"},
        CLAIM | {"key": "learned", "headline": NAN, "verdict": "undecided"},
        *(
            CLAIM | {"key": "learned-budget", "method": method, "headline": NAN, "verdict": "holds"}
            for method in ("TRIM-POMDP at 10%", "TRIM-POMDP at 20%", "TRIM-Agg at 20%")
        ),
        CLAIM | {"key": "match", "headline": NAN, "verdict": "fails"},
    ]
    named = ("cpt50", "cpt80", "cpt95", "delta_ibc", "weak_accuracy", "strong_accuracy")
    numbers = {f"{name}{end}": 0.5 for name in named for end in ("", "_lo", "_hi")}
    head = {"dataset": "arith", "trained_on": "arith", "reading": "envelope", "seed": 0, "variant": "default"}
    training = [
        {
            "trained_on": "arith",
            "router": "trim-agg",
            "variant": "default",
            "seed": 0,
            "trained": "no",
            "why": "2 of 9",
        },
        {
            "trained_on": "arith",
            "router": "trim-agg",
            "variant": "conditioned",
            "seed": 0,
            "trained": "yes",
            "why": NAN,
        },
    ]
    thr = head | {"router": "trim-thr"}
    curves = [thr | {"operating_point": point, "strong_share": point} for point in (0.1, 0.2, 0.3)]
    tables = {"claims": claims, "main": [thr | numbers], "training": training, "curves": curves}
    for name, rows in tables.items():
        write_csv(pd.DataFrame(rows), tmp_path / f"tables/{name}.csv")
    write_json({"code": "x", "python": "3", "packages": {"torch": "2"}}, tmp_path / "tables/provenance.json")
    return tmp_path


def test_claims_are_counted_once_and_verdicts_have_conditions(results: Path) -> None:
    text = render_results(Experiment(), results, {}, routers="all")
    assert "Of 4 claims of the paper, each counted once" in text
    assert "however many statements it makes: holds 2, holds in part 1, fails 1." in text
    assert "| delta IBC | 4.00 | 2.00 [1.00, 3.00] | **holds** | 5.00 |" in text
    assert "| TRIM-Thr | 3 | 50.0% [50.0%, 50.0%] |" in text
    assert "**Looking ahead on arith, beside TRIM-Thr at the same strong share**: shown to be more accurate: " in text
    assert "accurate: TRIM-POMDP at 10% and 20%, TRIM-Agg at 20%; shown to be less accurate: none; all else is" in text
    assert (
        "buys 2.6 [2.4, 2.9] times what the best query-level baseline buys; in Table 1 of the paper, 2.9 times" in text
    )
    assert "nothing else. All is of: PRM `verifier`; one seed." in text


def test_headlines_say_in_how_many_runs_with_other_seeds_they_hold(results: Path) -> None:
    first = CLAIM | {"key": "five-fold"}
    text = render_results(Experiment(), results, {statement(first): "4 of 5"}, routers="none")
    assert "| paper | holds with other seeds |" in text and "| **holds** | 5.00 | 4 of 5 |" in text
    assert "| **holds** | 5.00 | – |" in render_results(Experiment(), results, {("another",): "1 of 5"}, routers="none")


def test_what_the_prm_knows_is_said_where_it_was_measured(results: Path) -> None:
    assert "right in 50.0% [50.0%, 50.0%] of the problems of arith" in render_results(
        Experiment(), results, {}, routers="all"
    )
    judged = {
        "measure": "AUC of the minimum score",
        "value": 0.75,
        "value_lo": 0.7,
        "value_hi": 0.8,
        "problems": 60,
        "count": 180,
    }
    outcomes = [
        judged | {"prm": prm, "behaviour": who} for prm in ("other", "verifier") for who in ("weak-only", "all")
    ]
    outcomes[-1]["value"] = 0.755
    gains = {"delta_ibc": 0.1, "delta_ibc_lo": 0.0, "delta_ibc_hi": 0.2}
    needed = [gains | {"scores": "in use"}, gains | {"scores": "foreseeing", "delta_ibc": 0.7}]
    write_csv(pd.DataFrame(outcomes), results / "tables/prm_outcomes.csv")
    write_csv(pd.DataFrame(needed), results / "tables/needed_prm.csv")
    text = render_results(Experiment(), results, {}, routers="none")
    assert "an AUC of 0.755 [0.700, 0.800], on 180 solutions of 60 problems" in text
    assert "have a ΔIBC of 0.10 [0.00, 0.20]" in text and "of 0.70 [0.00, 0.20] (`needed_prm.csv`)" in text


def test_half_of_the_gap_is_told_at_every_price(results: Path) -> None:
    row = {"dataset": "arith", "trained_on": "arith", "router": "trim-thr", "variant": "default", "seed": 0}
    row |= {"cpt50": 0.5, "cpt50_lo": 0.4, "cpt50_hi": 0.6}
    others = [row | {"variant": "hull", "price": "api"}, row | {"seed": 1, "price": "api"}]
    table = [row | {"price": "decoded"}, row | {"price": "flops", "cpt50": 7.9}, *others]
    write_csv(pd.DataFrame(table), results / "tables/prices.csv")
    verdicts = [("a", "decoded", "holds"), ("b", "decoded", "fails"), ("a", "flops", "fails"), ("b", "flops", "fails")]
    told = pd.DataFrame(verdicts, columns=["headline", "price", "verdict"])
    write_csv(told, results / "tables/price_verdicts.csv")
    text = render_results(Experiment(), results, {}, routers="none")
    assert "1 of the 2 headline verdicts are others at some of these prices" in text
    assert "half of the gap for 790.0% [40.0%, 60.0%] at `flops` (`prices.csv`)" in text


def test_failed_training_is_named(results: Path) -> None:
    assert "that nothing can be concluded about the method, of: TRIM-Agg, per kappa (2 of 9)." in render_results(
        Experiment(), results, {}, routers="all"
    )
    table = pd.read_csv(results / "tables/training.csv").assign(trained="yes", why=NAN)
    write_csv(table, results / "tables/training.csv")
    assert "Training failed" not in render_results(Experiment(), results, {}, routers="all")


def test_only_what_has_results_is_filled(results: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    root, block = tmp_path_factory.mktemp("clone"), "<!-- results of {}: generated by `trim readme` -->\n{}\n"
    end = "<!-- end of results -->\n"
    blocks = [f"{block.format(name, 'old')}{end}" for name in ("real", "embedded")]
    claims = blocks[1].replace("results of", "claims of")
    summary = "<!-- summary: generated by `trim readme` -->\n{}<!-- end of summary -->\n"
    (root / "README.md").write_text("a\n" + "b\n".join(blocks) + "c\n" + claims + summary.format("old"))
    (root / "docs").mkdir()
    (root / "docs/index.md").write_text(summary.format(""))
    (root / "config.yaml").write_text("experiment: embedded\n")
    shutil.copytree(ROOT / "data/published", root / "data/published")
    with pytest.raises(InputError, match="no results of real or embedded"):
        fill_readme(root)
    shutil.copytree(results, root / "results/embedded")
    assert fill_readme(root) == ["embedded"]
    text = (root / "README.md").read_text()
    assert text.startswith(f"a\n{blocks[0]}b\n") and text.count("\nold\n") == 1
    results_block, claims_block = text.split(f"{end}c\n")
    assert "Something holds" in results_block and "| TRIM-Thr |" in results_block
    assert "Something holds" in claims_block and "| TRIM-Thr |" not in claims_block
    assert "| embedded | Something holds |" in (root / "docs/claims.md").read_text()
    counted = "| [embedded]({}results/embedded.md) | 2 | 1 | 0 | 0 | 1 | 0 | 0 |"
    assert counted.format("docs/") in text and counted.format("") in (root / "docs/index.md").read_text()
    (root / "README.md").write_text("nothing generated\n")
    with pytest.raises(InputError, match="no generated block"):
        fill_readme(root)


def test_a_page_without_a_summary_and_a_ledger_without_headlines_are_filled_all_the_same(results: Path) -> None:
    claims = pd.read_csv(results / "tables/claims.csv")
    write_csv(claims.assign(headline=NAN), results / "tables/claims.csv")
    assert "**Intervals**" not in render_results(Experiment(), results, {}, routers="none")
    write_csv(claims, results / "tables/claims.csv")
    root = results / "clone"
    shutil.copytree(ROOT / "data/published", root / "data/published")
    (root / "config.yaml").write_text("experiment: embedded\n")
    block = "<!-- results of embedded: generated by `trim readme` -->\nold\n<!-- end of results -->\n"
    (root / "README.md").write_text(block)

    shutil.copytree(results / "tables", root / "results/embedded/tables")
    assert fill_readme(root) == ["embedded"]
    assert "summary" not in (root / "README.md").read_text()
