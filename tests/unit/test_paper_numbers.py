"""Numbers and tables of the manuscript."""

from collections.abc import Mapping
from pathlib import Path

import pandas as pd
import pytest

from trim.config.parsing import parse_config
from trim.evaluation.claims.ledger import OURS
from trim.evaluation.format import form_of
from trim.paper import numbers
from trim.paper.numbers import Source, all_numbers, choose, join, known_words, numbers_of, render, used_keys
from trim.paper.tables import baseline_table, end_point_table, needed_prm_table, prm_table, router_table

ROOT = Path(__file__).parents[2]
MANUSCRIPT = (ROOT / "paper/main.tex").read_text(encoding="utf-8")
NAN = float("nan")


def measured(name: str, value: float, low: float, high: float) -> dict[str, float]:
    return {name: value, f"{name}_lo": low, f"{name}_hi": high}


def main_row(router: str, variant: str = "default", **changes: object) -> dict[str, object]:
    row = {"dataset": "arith", "trained_on": "arith", "router": router, "variant": variant, "seed": 0}
    row |= {"reading": "envelope", **measured("cpt50", 0.1444, 0.131, 0.155), **measured("cpt80", 0.2, 0.19, NAN)}
    return row | measured("cpt95", NAN, 0.9, NAN) | measured("delta_ibc", 2.349, 2.09, 2.68) | changes


def gap_row(router: str, other: str, low: float, high: float, **changes: object) -> dict[str, object]:
    row = {"dataset": "arith", "trained_on": "arith", "router": router, "variant": "default", "seed": 0}
    row |= {"other_router": other, "other_variant": "default", "other_seed": 0, "quantity": "delta IBC"}
    return row | measured("difference", (low + high) / 2, low, high) | {"p_value": 0.0004} | changes


CURVES = pd.DataFrame(
    [
        {"dataset": "arith", "router": router, "n_problems": 1000, **measured("accuracy", *accuracy), **tokens}
        for router, accuracy, tokens in (
            ("weak-only", (0.321, 0.292, 0.351), measured("strong_tokens", 0, 0, 0)),
            ("strong-only", (0.874, 0.854, 0.894), measured("strong_tokens", 79.76, 78.8, 80.7)),
            ("trim-thr", (0.5, 0.4, 0.6), measured("strong_tokens", 9, 8, 10)),
        )
    ]
)
MAIN = pd.DataFrame(
    [
        main_row("trim-pomdp"),
        main_row("trim-thr"),
        main_row("trim-thr", reading="paper", delta_ibc=2.1),
        main_row("trim-thr", seed=1, delta_ibc=9.0),
        main_row("trim-thr", dataset="arith-hard", delta_ibc=1.27),
        main_row("trim-thr", trained_on="arith-hard", delta_ibc=2.36),
        main_row("bert", delta_ibc=0.1),
        main_row("random-step", trained_on="untrained", delta_ibc=-0.31),
    ]
)
GAPS = pd.DataFrame(
    [
        gap_row("trim-thr", "bert", 1.98, 2.56),
        gap_row("trim-thr", "mf", -0.1, 0.3),
        gap_row("trim-pomdp", "trim-thr", -0.6, -0.2),
        gap_row("trim-pomdp", "trim-thr", 0.06, 0.14, quantity="PGR at 10%"),
    ]
)
PRMS = pd.DataFrame(
    [
        {"prm": "verifier", "dataset": "arith", "measure": measure, "value": value, "count": 9}
        for measure, value in (("step AUC", 0.9616), ("ECE", 0.0166), ("step AUC within *d", 0.7))
    ]
)
SETTINGS = parse_config({}).model_dump(mode="json")
ORIGIN = {"code": "0.1.0+abc_dirty", "config_hash": "12ab", "packages": {"torch": "2.13.0"}}
TABLES: Mapping[str, pd.DataFrame] = {"curves": CURVES, "main": MAIN, "comparisons": GAPS, "prm_quality": PRMS}


@pytest.fixture(scope="module")
def found() -> dict[str, str]:
    return all_numbers(TABLES, SETTINGS, ORIGIN)


# --- numbers ----------------------------------------------------------------------------


def test_a_key_says_what_tells_rows_apart() -> None:
    assert join("main", "envelope", "arith-hard", "untrained", "rsd", "default", "cpt50") == "main/arith-hard/rsd/cpt50"
    assert join("comparisons", NAN, "PGR at 10%") == "comparisons/PGR at 10"


def test_numbers_are_those_of_the_rows(found: dict[str, str]) -> None:
    assert found["main/arith/arith/trim-thr/delta_ibc"] == "$2.35$ [$2.09$, $2.68$]"
    assert found["main/arith/arith/trim-thr/delta_ibc/point"] == "$2.35$"
    assert found["main/arith/arith/trim-thr/cpt50"] == r"$14.4$\,\% [$13.1$, $15.5$]"
    assert found["main/arith/arith/trim-thr/cpt80"] == r"$20.0$\,\% [$19.0$, --]"
    assert found["main/arith/arith/trim-thr/cpt95"] == "--"
    assert found["main/paper/arith/arith/trim-thr/delta_ibc/point"] == "$2.10$"
    assert found["main/arith-hard/arith/trim-thr/delta_ibc/point"] == "$1.27$"
    assert found["main/arith/arith-hard/trim-thr/delta_ibc/point"] == "$2.36$"
    assert found["main/arith/random-step/delta_ibc/point"] == "$-0.31$"
    assert found["curves/arith/weak-only/accuracy/point"] == r"$32.1$\,\%"
    assert found["curves/arith/strong-only/strong_tokens/point"] == "$79.8$"
    assert found["curves/arith/n_problems"] == "$1000$"
    assert found["prm_quality/verifier/arith/step AUC"] == "$0.962$"
    assert found["prm_quality/verifier/arith/step AUC within *d"] == "$0.700$"


def test_differences_have_a_sign_a_verdict_and_a_p_value(found: dict[str, str]) -> None:
    key = "comparisons/arith/arith/trim-thr/bert/delta IBC"
    assert found[key] == "$+2.27$ [$+1.98$, $+2.56$]"
    assert found[f"{key}/verdict"] == "above"
    assert found[f"{key}/p_value"] == "$p<0.001$"
    assert found["comparisons/arith/arith/trim-thr/mf/delta IBC/verdict"] == "not distinguishable from"
    assert found["comparisons/arith/arith/trim-pomdp/trim-thr/delta IBC/verdict"] == "below"
    assert found["comparisons/arith/arith/trim-pomdp/trim-thr/PGR at 10"] == "$+10.0$ points [$+6.0$, $+14.0$]"
    without = dict(numbers_of("comparisons", pd.DataFrame([gap_row("trim-thr", "bert", NAN, NAN)])))
    assert without[key] == "--"
    assert without[f"{key}/verdict"] == "not comparable with"


def test_baselines_are_counted(found: dict[str, str]) -> None:
    assert [found[f"tally/arith/arith/trim-thr/{what}"] for what in ("above", "below", "all")] == ["1", "0", "2"]


def test_settings_and_origin_are_numbers_too(found: dict[str, str]) -> None:
    assert found["config/max_steps"] == "30"
    assert found["config/sampling/temperature"] == "0.7"
    assert found["config/bootstrap/level/percent"] == r"95\,\%"
    assert found["config/evaluated_on"] == "arith, arith-hard, arith-words"
    assert found["origin/code"] == r"0.1.0+abc\_dirty"
    assert found["origin/packages/torch"] == "2.13.0"


def test_published_tables_and_claims_are_read() -> None:
    published = {
        name: pd.read_csv(ROOT / f"data/published/{name}.csv") for name in ("table1", "table2", "anchors", "abstracts")
    }
    head = {"headline": NAN, "measure": "delta IBC", "paper_value": 1.0, **{"ours": 2.0, "lo": 1.5, "hi": 2.5}}
    head |= {
        "dataset": "arith",
        "method": "TRIM-POMDP at 10%",
        "key": "learned",
        "source": "Table 1",
        "bar_from": "ours",
        "paper_factor": 2.9,
        **measured("factor", 2.6, 2, 3),
    }
    claims = pd.DataFrame(
        [
            head | {"scope": "same", "verdict": "not tested"},
            head | {"scope": "analogue", "verdict": "holds", "headline": "learned"},
            head | {"scope": "analogue", "verdict": "undecided", "method": "TRIM-Agg"},
            head | {"scope": "analogue", "verdict": "fails", "key": "match", "bar_from": "paper"},
            head | {"scope": "analogue", "verdict": "holds", "key": "learned-hull", "source": OURS},
        ]
    )
    found = all_numbers({**published, "claims": claims}, {}, {})
    assert found["table1/math500/trim-thr/delta_ibc"] == "$4.75$"
    assert found["table1/math500/trim-thr/cpt50_percent"] == r"$9.4$\,\%"
    assert found["table2/minerva/trim-agg/delta_ibc"] == "$3.12$"
    assert found["anchors/paper/math500/weak_model"] == "Qwen2.5-3B-Instruct"
    assert found["anchors/paper/math500/problems"] == "$500$"
    counts = [found[f"claims/analogue{what}"] for what in ("", "/holds", "/fails", "/undecided")]
    assert counts == ["4", "2", "1", "1"]
    whole = ("", "/holds", "/holds in part", "/mixed", "/fails in part", "/fails", "/undecided", "/not tested")
    assert [found[f"claims/of the paper{what}"] for what in whole] == ["2", "0", "1", "0", "0", "1", "0", "0"]
    assert (found["claims/bar/paper"], found["claims/bar/ours"]) == ("1", "1")
    assert found["abstracts/openreview/math500/multiple"] == "$6.51$"
    assert found["ledger/match/arith/TRIM-POMDP at 10/verdict"] == "fails"
    assert found["ledger/learned/arith/TRIM-Agg"] == "$2.00$ [$1.50$, $2.50$]"
    assert found["headline/learned/factor"] == "$2.6$ [$2.0$, $3.0$]"
    assert found["headline/learned/paper_factor"] == "$2.9$"
    assert (found["claims/same"], found["claims/same/not tested"], found["claims/same/reproduced"]) == ("1", "1", "0")
    assert (found["headline/learned/verdict"], found["headline/learned/ours"]) == ("holds", "$2.00$ [$1.50$, $2.50$]")


def test_a_failed_training_is_no_finding() -> None:
    row = gap_row("trim-seq", "trim-agg", -0.8, -0.4, ablation="memory", prm="verifier", measure="delta_ibc")
    row |= {"p_at_floor": 1.0, "p_corrected": 0.012}
    key = "ablations/memory/verifier/arith/arith/trim-seq/trim-agg/delta_ibc"
    found = all_numbers({"ablations": pd.DataFrame([row | {"trained": "yes", "why": ""}])}, {}, {})
    assert (found[f"{key}/verdict"], found[f"{key}/finding"]) == ("below", "$-0.60$ [$-0.80$, $-0.40$]")
    assert found[f"{key}/p_corrected"] == r"$p\leq0.012$"  # no resample lies above zero
    found = all_numbers({"ablations": pd.DataFrame([row | {"trained": "no", "why": "9 points have 5 shares"}])}, {}, {})
    assert found[f"{key}/verdict"] == "as trained not comparable with"
    assert found[f"{key}/finding"] == "no finding (9 points have 5 shares)"


def test_leads_are_told_share_by_share() -> None:
    def lead(*lows: float) -> str:
        gaps = [
            gap_row("trim-pomdp", "trim-thr", low, low + 0.1, quantity=f"PGR at {share}%")
            for share, low in zip((5, 10, 20), lows, strict=True)
        ]
        return all_numbers({"comparisons": pd.DataFrame(gaps)}, {}, {})["lead/arith/arith/trim-pomdp"]

    assert lead(0.1, 0.1, 0.1) == r"at 5, 10 and 20\,\%"
    assert lead(0.1, -0.1, 0.1) == r"at 5 and 20\,\%"
    assert lead(-0.1, 0.1, -0.1) == r"at 10\,\%"
    assert lead(-0.1, -0.1, -0.1) == "at none of the compared shares"


def test_why_a_training_failed_stands_behind_that_it_did() -> None:
    rows = [
        {"trained_on": "arith", "router": "trim-agg", "variant": "default", "seed": 0, "trained": "no", "why": "a hole"}
    ]
    rows += [rows[0] | {"router": "trim-seq", "trained": "yes", "why": float("nan")}]
    found = all_numbers({"training": pd.DataFrame(rows)}, {}, {})
    assert found["training/arith/trim-agg/trained/finding"] == "no (a hole)"
    assert found["training/arith/trim-seq/trained/finding"] == "yes"


def test_two_numbers_of_one_key_are_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(numbers, "SOURCES", {"x": Source(("k",), ("v",))})
    rows = pd.DataFrame([{"k": "10%", "v": 1.0}, {"k": "10", "v": 2.0}])
    with pytest.raises(ValueError, match="two numbers are called x/10/v"):
        all_numbers({"x": rows}, {}, {})


TAKEN_ALONG = "ablations/observation transfer/verifier/arith/arith/trim-pomdp/trim-pomdp/transferred/delta_ibc"


def test_what_any_experiment_may_have_is_no_mistake() -> None:
    rows = {"dataset": "arith", "trained_on": "arith", "seed": 0, "other_seed": 0}
    rows |= {"router": "trim-agg", "variant": "default", "other_router": "trim-thr", "other_variant": "default"}
    sampled = pd.DataFrame([rows | {"wanted_share": 0.1, "sampling": "same replicate", "problems_factor": 1.0}])
    few = all_numbers({"main": MAIN[:1], "comparisons": GAPS[:1], "sampling": sampled}, {}, {})
    _, lacking, wrong = choose(used_keys(MANUSCRIPT), few, known_words(SETTINGS))
    assert wrong == []
    assert "sampling/arith/trim-pomdp/trim-thr/0.2/another replicate/problems_factor" in lacking


def test_only_what_the_text_uses_is_defined(found: dict[str, str]) -> None:
    text = rf"""\num{{main/arith/arith/trim-thr/delta_ibc}} \num{{config/max_steps}}, $\Delta$
        \num{{main/arith-hard/arith-hard/trim-agg/conditioned/delta_ibc}} \num{{claims/analogue/not
        tested}} % \num{{main/commented}}
        \num{{{TAKEN_ALONG}}}"""
    used = used_keys(text)
    assert len(used) == 5
    chosen, lacking, wrong = choose(used, found, known_words(SETTINGS))
    assert chosen["main/arith/arith/trim-thr/delta_ibc"] == found["main/arith/arith/trim-thr/delta_ibc"]
    assert lacking == [
        TAKEN_ALONG,
        "claims/analogue/not tested",
        "main/arith-hard/arith-hard/trim-agg/conditioned/delta_ibc",
    ]
    assert {chosen[key] for key in lacking} == {"--"}
    assert wrong == []
    lines = render(chosen, "title").splitlines()
    assert lines[0] == "% title"
    assert lines[-1] == r"\setnum{main/arith/arith/trim-thr/delta_ibc}{$2.35$ [$2.09$, $2.68$]}"
    assert sum(line.startswith(r"\setnum{") for line in lines) == len(chosen)


@pytest.mark.parametrize(
    "key",
    [
        "mian/arith/arith/trim-thr/delta_ibc",  # no such table
        "main/arith/arith/trim-thr/delta_icb",  # no such column
        "main/arith/arith/trim-thr/recomputed",  # a column, but of another table
        "main/arith/arith/trim-thr",
        "comparisons/arith/arith/trim-thr/mf/delta ICB",
        "table1/math500/trim-thr/delta_icb",  # this experiment has not read the table
        "main/arith/arith/trim-trh/delta_ibc",  # no such router
        "main",
        "",
    ],
)
def test_a_key_that_nothing_can_have_is_a_mistake(key: str, found: dict[str, str]) -> None:
    assert choose([key], found, known_words(SETTINGS)) == ({}, [], [key])


@pytest.mark.parametrize(
    ("quantity", "written"),
    [
        ("accuracy", r"$50.0$\,\%"),
        ("difference of PGR at 5%", r"$50.0$\,\%"),
        ("delta_ibc", "$0.50$"),
        ("auc", "$0.500$"),
    ],
)
def test_a_quantity_is_written_by_its_name(quantity: str, written: str) -> None:
    assert form_of(quantity).latex(0.5) == written


# --- tables -----------------------------------------------------------------------------


def test_narrow_tables_hold_one_dataset_and_the_first_run() -> None:
    rows = router_table(MAIN, "arith", "arith").splitlines()
    assert [row.split(" & ")[0] for row in rows if "[" in row] == ["TRIM-Thr", "TRIM-POMDP", "BERT", "random step"]
    assert (
        r"TRIM-Thr & $14.4$ {\scriptsize [$13.1$, $15.5$]} & $20.0$ {\scriptsize [$19.0$, --]} & -- & $2.35$" in rows[4]
    )
    assert rows.count(r"\midrule") == 3
    baselines = baseline_table(GAPS, "arith", "arith")
    assert r"BERT & $+2.27$ {\scriptsize [$+1.98$, $+2.56$]}" in baselines
    assert "trim-thr" not in baselines
    assert r"arith & $32.1$ {\scriptsize [$29.2$, $35.1$]} & -- & $87.4$" in end_point_table(CURVES, None)
    right = {"dataset": "arith", "behaviour": "weak-only", **measured("accuracy_all_right", 0.27, 0.24, 0.3)}
    both = end_point_table(CURVES, pd.DataFrame([right]))
    assert r"[$29.2$, $35.1$]} & $27.0$ {\scriptsize [$24.0$, $30.0$]} & $87.4$" in both
    assert r"verifier & arith & $0.962$ & -- & -- & -- & $0.017$ & -- \\" in prm_table(PRMS)
    known = {"dataset": "gsm8k", "scores": "foreseeing", "deviation": 0.5, **measured("auc", 0.9, 0.8, 1.0)}
    known |= measured("delta_ibc", 1.1, 0.4, 2.6) | measured("difference", 1.2, 0.3, 2.5)
    in_use = known | {"scores": "in use", "deviation": NAN, **measured("difference", NAN, NAN, NAN)}
    needed = needed_prm_table(pd.DataFrame([in_use, known, known | {"deviation": 0.0}]))
    assert r"gsm8k & in use & $0.900$ {\scriptsize [$0.800$, $1.000$]}" in needed
    assert r"& foreseeing, noise 0.5 &" in needed
    assert r"& foreseeing & $0.900$" in needed
    assert needed.count("$+1.20$") == 2
