"""Numbers that the paper prints, beside ours of the same pair and dataset."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from trim.evaluation.claims.ledger import same_rows
from trim.evaluation.claims.published import PAPER_MODELS, Paper, metric_check

PUBLISHED = Path(__file__).parents[2] / "data" / "published"


def main_table() -> pd.DataFrame:
    head = {"trained_on": "math", "variant": "default", "seed": 0, "dataset": "math500"}
    columns = ("router", "reading", "cpt50", "cpt80", "cpt95", "delta_ibc")
    rows = [
        ("trim-thr", "paper", 0.0945, 0.2, 0.27, 4.0),
        ("trim-thr", "envelope", 9, 9, 9, 9),
        ("trim-agg", "paper", 0.07, 0.12, np.nan, 5.6),
        *((name, "paper", 0.3, 0.5, 0.9, 0.5) for name in ("bert", "mf", "sw", "smoothie", "automix", "automix-prm")),
    ]
    table = pd.DataFrame([{**head, **dict(zip(columns, row, strict=True))} for row in rows])
    for name in columns[2:]:
        table[f"{name}_lo"], table[f"{name}_hi"] = table[name] * 0.99, table[name] * 1.01
    return table


def test_numbers_of_the_paper_are_compared_with_those_of_the_same_pair_and_dataset() -> None:
    models = {"weak": "Qwen/Qwen2.5-3B-Instruct", "strong": "claude-3-7-sonnet-20250219", "prm": PAPER_MODELS["prm"]}
    table = pd.DataFrame(same_rows(main_table(), models, PUBLISHED))
    thr = table[(table["source"] == "Table 1") & (table["dataset"] == "math500") & (table["method"] == "trim-thr")]
    assert thr["verdict"].tolist() == ["reproduced", "not", "partly", "partly"]
    assert thr["ours"].tolist() == pytest.approx([9.45, 20, 27, 4])
    assert thr["why"].iloc[3] == "Ours deviates by -16%; the paper's 4.75 is outside our interval."
    agg = table[(table["source"] == "Table 1") & (table["dataset"] == "math500") & (table["method"] == "trim-agg")]
    assert agg["verdict"].tolist() == ["reproduced", "reproduced", "not", "reproduced"]
    assert "does not reach" in agg["why"].iloc[2]
    multiple = table[(table["key"] == "abstract") & (table["dataset"] == "math500")].iloc[0]
    assert (multiple["ours"], multiple["verdict"]) == (8, "not")
    elsewhere = table[table["dataset"] != "math500"]
    assert set(elsewhere["verdict"]) == {"not tested"}
    assert elsewhere["why"].str.contains("was not evaluated|not repeated here").all()


@pytest.mark.parametrize("role", ["weak", "strong", "prm"])
def test_with_one_other_model_no_number_of_the_paper_is_tested(role: str) -> None:
    table = pd.DataFrame(same_rows(main_table(), {**PAPER_MODELS, role: "another"}, PUBLISHED))
    assert len(table) == 4 * (18 + 16 + 8 + 2) + 3 + 2
    assert set(table["verdict"]) == {"not tested"}
    assert table[table["source"] != "Table 8"]["why"].str.contains(f"the {role} model is another").all()


def test_what_the_paper_prints_in_our_quantities() -> None:
    paper = Paper(PUBLISHED)
    assert paper.best_baseline("aime") == 0.79
    assert paper.over(paper.takeover, "main") == pytest.approx(4.75 - 1.10)
    assert paper.over(paper.takeover, "home") == pytest.approx(1.81 - 0.84)
    assert paper.over(paper.takeover, "away") == pytest.approx(1.31 - 0.63)
    assert paper.noisy("trim-agg") == pytest.approx(1.16 - 0.38)
    assert np.isnan(paper.pgr("trim-seq", 0.2))


def test_metric_check_leaves_only_what_digitising_costs() -> None:
    table = metric_check(PUBLISHED)
    assert len(table) == 4 * (3 + 3 + 2 + 3)
    figure = table[table["source"] == "Figure 6"]
    assert figure["difference"].abs().max() < 0.2
    assert table.loc[table["source"] == "released log", "published"].isna().all()
    assert table["recomputed"].notna().all()
