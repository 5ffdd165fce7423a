"""What the generated block of the README says of claims and training."""

from pathlib import Path

import pandas as pd
import pytest

from trim.documents.readme import render_results
from trim.files import write_csv, write_json

NAN = float("nan")
CLAIM = {
    "scope": "analogue",
    "source": "Table 1",
    "measure": "delta IBC",
    "claim": "Something holds",
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
        CLAIM | {"key": "learned-budget", "method": "TRIM-POMDP at 10%", "headline": NAN, "verdict": "holds"},
        CLAIM | {"key": "match", "headline": NAN, "verdict": "fails"},
    ]
    numbers = {f"{name}{end}": 0.5 for name in ("cpt50", "cpt80", "cpt95", "delta_ibc") for end in ("", "_lo", "_hi")}
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
    tables = {"claims": claims, "main": [head | numbers | {"router": "trim-thr"}], "training": training}
    for name, rows in tables.items():
        write_csv(pd.DataFrame(rows), tmp_path / f"tables/{name}.csv")
    write_json({"code": "x", "python": "3", "packages": {"torch": "2"}}, tmp_path / "tables/provenance.json")
    return tmp_path


def test_claims_are_counted_once_and_verdicts_have_conditions(results: Path) -> None:
    text = render_results(results)
    assert "Of 4 claims of the paper, each counted once" in text
    assert "2 hold, 1 fail, 1 hold for some" in text
    assert "more accurate is TRIM-POMDP at 10%; less accurate is none; all else is undecided" in text
    assert "a factor of 2.6 [2.4, 2.9]; the paper's table makes it 2.9" in text
    assert "verdicts hang on all else: PRM verifier; one seed." in text


def test_failed_training_is_named(results: Path) -> None:
    assert "nothing to conclude from (`training.csv`): trim-agg (2 of 9)." in render_results(results)
    table = pd.read_csv(results / "tables/training.csv").assign(trained="yes", why=NAN)
    write_csv(table, results / "tables/training.csv")
    assert "nothing to conclude" not in render_results(results)
