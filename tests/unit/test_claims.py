"""Verdicts on experiments that are made so that the answer is known."""

import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from trim.config.experiment import Bootstrap
from trim.errors import InputError
from trim.evaluation.bootstrap import Bounds, bounds
from trim.evaluation.claims.ledger import COLUMNS, analogue_rows, by_claim, latex_claims, ledger, read_auc
from trim.evaluation.claims.published import Paper
from trim.evaluation.claims.statements import CLAIMS
from trim.evaluation.claims.verdicts import greatest, judge, judge_same, ratio, smallest
from trim.evaluation.claims.world import World, delta_ibc
from trim.evaluation.study import CURVE, measure, studies, study

HEADLINES = ["efficiency", "tokens", "generalization", "takeover", "learned"]
PUBLISHED = Path(__file__).parents[2] / "data" / "published"
TINY = {"weak": "one of our own", "strong": "one of our own", "prm": "one of our own"}
SETTINGS, PROBLEMS = Bootstrap(resamples=200), 200
COSTS = ("weak_tokens", "discarded_tokens", "prm_tokens", "strong_prefill_tokens", "strong_calls")
AUC = {("verifier", "arith"): 0.9, ("noisy", "arith"): 0.6}

# Strong share at which a router recovers all of the gap, in a straight line: delta IBC is 1 / share - 1.
SHARES = {
    ("arith", "trim-thr", "default"): 0.25,
    ("arith", "trim-thr", "hull"): 0.125,
    ("arith", "trim-agg", "conditioned"): 0.125,
    ("arith", "trim-seq", "conditioned"): 0.5,
    ("arith", "trim-pomdp", "default"): 0.2,
    ("arith", "one-step-takeover", "default"): 0.5,
    ("arith", "bert", "default"): 0.8,
    ("arith", "hybrid-llm", "deterministic"): 0.625,
    ("untrained", "oracle-query", "cheapest-first"): 0.125,
}


def episodes(shares: Mapping[tuple[str, str, str], float], dataset: str, weak: float = 0.3) -> pd.DataFrame:
    """Strong solves all; weak and a router at the end of its line solve a share of the problems; all cost the same."""
    problems = np.arange(PROBLEMS)
    parts = []

    def add(trained_on: str, router: str, variant: str, point: float, share: float, solved: float) -> None:
        part = pd.DataFrame({"problem_id": [f"{p:03}" for p in problems], "correct": problems < solved * PROBLEMS})
        head = {"dataset": dataset, "trained_on": trained_on, "router": router, "variant": variant, "seed": 0}
        part = part.assign(**head, operating_point=point, replicate=0, strong_tokens=80 * share)
        parts.append(part.assign(**dict.fromkeys(COSTS, 0)))

    add("untrained", "weak-only", "default", 0, 0, weak)
    add("untrained", "strong-only", "default", 1, 1, 1)
    for (trained_on, router, variant), share in shares.items():
        add(trained_on, router, variant, 0.5, share, 1)
    return pd.concat(parts, ignore_index=True)


def world(
    shares: Mapping[tuple[str, str, str], float] = SHARES, by_prm: Mapping[str, pd.DataFrame] | None = None
) -> World:
    return world_of(episodes(shares, "arith"), episodes(shares, "arith-hard", weak=0.2), by_prm=by_prm)


def world_of(
    *parts: pd.DataFrame, by_prm: Mapping[str, pd.DataFrame] | None = None, main: str = "arith", **more: object
) -> World:
    prms = {name: study(measure(part, CURVE), SETTINGS, "0/arith") for name, part in (by_prm or {}).items()}
    evidence = studies(pd.concat(parts, ignore_index=True), SETTINGS, 0)
    given = {
        "auc": AUC,
        "step_auc": {"verifier": 0.95, "noisy": 0.8},
        "paper": Paper(PUBLISHED),
        "noisy": "noisy",
        "shares": (0.1, 0.3),
        **more,
    }
    return World(evidence, prms, main, ["arith"], "verifier", **given)


def judged(found: World) -> pd.DataFrame:
    table = ledger(found, pd.DataFrame(columns=["dataset", "reading"]), TINY, PUBLISHED, 0.95)
    return table[table["scope"] == "analogue"]


@pytest.fixture(scope="module")
def claims() -> pd.DataFrame:
    return judged(world())


def one(table: pd.DataFrame, **wanted: object) -> pd.Series:
    for column, value in wanted.items():
        table = table[table[column] == value]
    (row,) = table.to_dict("records")
    return pd.Series(row)


# --- verdicts -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("found", "verdict"),
    [
        (Bounds(3, 2, 4), "holds"),
        (Bounds(3, 1, 4), "undecided"),  # an end on the bar is not beyond it
        (Bounds(0, -1, 0.9), "fails"),
        (Bounds(0, -1, 1), "undecided"),
        (Bounds(np.inf, 5, np.inf), "holds"),
        (Bounds(np.nan, np.nan, np.nan), "undecided"),
    ],
)
def test_a_statement_holds_where_the_whole_interval_is_beyond_the_bar(found: Bounds, verdict: str) -> None:
    assert judge(found, 1) == verdict


def test_only_a_positive_number_has_multiples() -> None:
    numerator, denominator = np.array([6.0, 6, 6, -1, -1, np.nan]), np.array([2.0, 0, -3, -2, 2, 2])
    np.testing.assert_array_equal(ratio(numerator, denominator), [3, np.inf, np.inf, 0, 0, np.nan])


def test_the_smallest_and_the_greatest_have_corrected_ends_on_one_side() -> None:
    line = np.arange(1001.0)
    numbers = {"a": np.append(500, line), "b": np.append(600, line + 100)}
    assert smallest(numbers, 0.75) == (500, 125, 938)  # an eighth below, a sixteenth above
    assert greatest(numbers, 0.75) == (600, 162, 975)
    assert smallest({"a": numbers["a"]}, 0.75) == bounds(numbers["a"], 0.75)


def test_a_statement_about_all_of_many_that_lie_on_the_bar_seldom_fails_or_holds() -> None:
    """Resampling the smallest number itself would call most of these false."""
    rng, wrong, naive = np.random.default_rng(0), 0, 0
    for _ in range(200):
        estimates = rng.normal(size=10)
        drawn = estimates + rng.normal(size=(1000, 10))
        numbers = {str(i): np.append(estimates[i], drawn[:, i]) for i in range(10)}
        wrong += judge(smallest(numbers, 0.95), 0) != "undecided"
        naive += judge(bounds(np.append(estimates.min(), drawn.min(1)), 0.95), 0) != "undecided"
    assert wrong <= 12
    assert naive > 100


@pytest.mark.parametrize(
    ("found", "published", "verdict"),
    [
        (Bounds(4.0, 3.5, 4.8), 4.75, "reproduced"),  # in the interval
        (Bounds(4.6, 4.5, 4.7), 4.75, "reproduced"),  # within 5 %
        (Bounds(4.0, 3.9, 4.1), 4.75, "partly"),
        (Bounds(5.9, 5.8, 6.0), 4.75, "partly"),
        (Bounds(3.0, 2.9, 3.1), 4.75, "not"),
        (Bounds(0.02, 0.015, 0.03), 0.0004, "partly"),  # published numbers around 0 are on a scale of their own
        (Bounds(0.2, 0.15, 0.3), 0.0004, "not"),
        (Bounds(-0.07, np.nan, np.nan), -0.07, "reproduced"),
        (Bounds(30, 25, np.inf), 60, "not"),  # a wide interval reproduces nothing
    ],
)
def test_the_same_number(found: Bounds, published: float, verdict: str) -> None:
    assert judge_same(found, published) == verdict


# --- statements ----------------------------------------------------------------------------


def test_every_claim_has_a_verdict(claims: pd.DataFrame) -> None:
    described = pd.read_csv(PUBLISHED / "claims.csv")
    assert list(described["key"]) == list(CLAIMS)
    assert not described.isna().any(axis=None)
    assert list(claims.columns) == list(COLUMNS)
    assert list(claims["key"].unique()) == list(CLAIMS)
    assert set(claims["verdict"]) <= {"holds", "fails", "undecided", "not tested"}
    assert claims["why"].str.len().min() > 20
    assert not claims["claim"].str.contains("[{}]").any()
    assert not claims.duplicated(["claim"]).any()


def test_a_claim_without_a_statement_is_an_error(tmp_path: Path) -> None:
    described = pd.read_csv(PUBLISHED / "claims.csv").assign(key="eficiency")
    described.to_csv(tmp_path / "claims.csv", index=False)
    with pytest.raises(InputError, match="no statement is called 'eficiency'; there are efficiency, "):
        list(analogue_rows(world(), tmp_path, 0.95))


def test_each_headline_is_judged_by_one_statement(claims: pd.DataFrame) -> None:
    assert [name for name in claims["headline"] if name] == HEADLINES


def test_cost_efficiency_is_read_against_each_baseline(claims: pd.DataFrame) -> None:
    row = one(claims, key="efficiency", dataset="arith")
    assert row["ours"] == pytest.approx((1 / 0.25 - 1) - (1 / 0.625 - 1))
    assert (row["verdict"], row["paper_value"]) == ("holds", pytest.approx(4.75 - 0.95))
    assert "hybrid-llm (deterministic)" in row["why"]
    assert one(claims, key="efficiency", dataset="arith-hard")["paper_value"] == pytest.approx(2.23 - 1.35)
    for key, multiple in {"reviewed-fold": 6.51, "five-fold": 5}.items():
        row = one(claims, key=key)
        assert row["ours"] == pytest.approx(3 / 0.6)  # the same on every resample: on the bar, give or take rounding
        assert (row["bar"], row["paper_value"], row["bar_from"]) == (multiple, multiple, "paper")
        assert row[["factor", "factor_lo", "factor_hi"]].tolist() == pytest.approx([4 / 1.6] * 3)
        assert row["paper_factor"] == pytest.approx(5.75 / 1.95)
    row = one(claims, key="six-fold")
    assert (row["dataset"], row["verdict"], row["ours"]) == ("arith-hard", "holds", pytest.approx(7 / 0.6))


def test_baselines_that_are_worse_than_mixing_have_no_multiple() -> None:
    bad = {**SHARES, ("arith", "bert", "default"): 1.25, ("arith", "hybrid-llm", "deterministic"): 1.25}
    row = one(judged(world(bad)), key="five-fold")
    assert row["verdict"] == "holds"
    assert np.isnan([row["ours"], row["lo"], row["hi"]]).all()
    assert "no end" in row["why"]


def test_saved_tokens_are_read_at_the_share_that_is_left(claims: pd.DataFrame) -> None:
    verdicts = {row["method"]: row["verdict"] for row in claims[claims["key"] == "match"].to_dict("records")}
    assert verdicts == {
        "One look-ahead router": "holds",
        "TRIM-Agg": "holds",
        "TRIM-Seq": "fails",
        "TRIM-POMDP": "holds",
    }
    assert one(claims, key="match", method="TRIM-Seq")["ours"] == pytest.approx(0.4)
    assert one(claims, key="match", method="TRIM-Agg")["paper_value"] == pytest.approx(1.033, abs=0.002)  # Table 4
    assert "trim-seq recovers 95% at 47.5%" in one(claims, key="match", method="One look-ahead router")["why"]
    assert one(claims, key="match-accuracy", method="TRIM-Seq")["ours"] == pytest.approx((0.4 - 1) * 0.7)


def test_all_of_several_routers_are_as_good_as_the_worst(claims: pd.DataFrame) -> None:
    row = one(claims, key="learned", method="Every look-ahead router")
    assert (row["verdict"], row["ours"]) == ("fails", pytest.approx(1 - 3))
    assert (one(claims, key="learned", method="TRIM-Agg", dataset="arith")["verdict"]) == "holds"
    assert (one(claims, key="learned-hull", method="TRIM-Agg", dataset="arith")["verdict"]) == "undecided"  # equal
    row = one(claims, key="transfer", dataset="every other dataset")
    assert (row["verdict"], row["ours"]) == ("holds", pytest.approx(1 - 0.6))


def test_the_oracle_is_not_asked_where_the_paper_stays_below_it_too() -> None:
    found = world()
    beside = replace(found, evidence={**found.evidence, "math500": found.evidence["arith"]})
    asked = judged(beside)
    assert "arith" in set(asked[asked["key"] == "oracle"]["dataset"])
    assert "math500" not in set(asked[asked["key"] == "oracle"]["dataset"])
    assert "math500" in set(asked["dataset"])


def test_the_other_statements(claims: pd.DataFrame) -> None:
    assert one(claims, key="takeover", dataset="arith")["verdict"] == "holds"
    assert one(claims, key="oracle", dataset="arith")["verdict"] == "fails"
    low, high = one(claims, key="low-budget"), one(claims, key="high-budget")
    assert (low["verdict"], low["ours"]) == ("fails", pytest.approx(0.05 / 0.2 - 0.05 / 0.125))
    assert (high["verdict"], high["ours"]) == ("undecided", 0)
    assert low["paper_value"] > 0
    row = one(claims, key="transfer", dataset="every other dataset")
    assert row["paper_value"] == pytest.approx(3.12 - 1.35)  # Minerva; at AIME the paper's routers are at home


def test_levels_and_budgets_are_asked_beside_delta_ibc(claims: pd.DataFrame) -> None:
    """TRIM-Thr spends twice what TRIM-Agg spends on every level, and half of what TRIM-Seq does."""
    for key, level, paper in (("learned-cpt80", 0.8, 0.1595 - 0.1222), ("learned-cpt95", 0.95, 0.2508 - 0.1721)):
        agg, seq = (one(claims, key=key, method=name, dataset="arith") for name in ("TRIM-Agg", "TRIM-Seq"))
        assert (agg["verdict"], agg["ours"]) == ("holds", pytest.approx(level * (0.25 - 0.125)))
        assert (seq["verdict"], seq["ours"]) == ("fails", pytest.approx(level * (0.25 - 0.5)))
        assert agg["paper_value"] == pytest.approx(paper)
        assert np.isnan(seq["paper_value"])
    rows = claims[claims["key"] == "learned-budget"].set_index("method")
    assert rows.loc["TRIM-Agg at 10%", "ours"] == pytest.approx(0.7 * (0.8 - 0.4))
    verdicts = rows["verdict"].to_dict()
    assert verdicts["TRIM-Agg at 10%"] == verdicts["TRIM-POMDP at 10%"] == "holds"
    assert (verdicts["TRIM-Seq at 10%"], verdicts["TRIM-Agg at 30%"]) == ("fails", "undecided")  # both have it all


def test_a_level_that_neither_side_reaches_is_undecided() -> None:
    short = episodes({("arith", "trim-thr", "default"): 0.25}, "arith")
    both = pd.concat([short, episodes({("arith", "trim-pomdp", "default"): 0.2}, "arith")]).drop_duplicates(
        ["router", "problem_id"]
    )
    both["correct"] &= ~both["router"].str.startswith("trim") | (both["problem_id"] < "100")
    row = one(judged(world_of(both)), key="learned-cpt95", method="TRIM-POMDP")
    assert row["verdict"] == "undecided"
    assert row["why"].startswith("Undecided: neither side reaches the level")


def test_verdicts_say_on_what_they_hang() -> None:
    failures = {
        ("arith", "trim-seq", "conditioned", 0): "3 policies are as they began",
        ("arith", "trim-agg", "conditioned", 0): "",
    }
    noisy = {"noisy": episodes(SHARES, "arith").assign(prm="noisy")}
    rows = judged(world_of(episodes(SHARES, "arith"), by_prm=noisy, failures=failures))
    agg, seq = (one(rows, key="learned", method=name)["conditions"] for name in ("TRIM-Agg", "TRIM-Seq"))
    assert agg.startswith("PRM verifier (AUC of the lowest score 0.90); one seed of problems")
    assert "one training run of each router" in agg
    assert "as trained" not in agg
    failed = "trim-seq (conditioned), from arith, as trained: 3 policies are as they began"
    assert seq.endswith(failed)
    marked = rows.set_index(["key", "method"])["failed_training"].fillna("")
    assert (marked["learned", "TRIM-Seq"], marked["learned", "TRIM-Agg"]) == (failed, "")
    assert (marked["low-budget", "TRIM-POMDP"], marked["high-budget", "TRIM-Agg"]) == ("", "")
    other = one(rows, key="learned-prm")
    assert (other["dataset"], other["verdict"]) == ("arith with PRM noisy", "fails")  # TRIM-Seq, as with the other
    assert other["conditions"].startswith("PRM noisy (AUC of the lowest score 0.60)")
    unmeasured = world_of(episodes(SHARES, "arith"), auc={("verifier", "arith"): float("nan")})
    assert one(judged(unmeasured), key="five-fold")["conditions"].startswith("PRM verifier; one seed")


@pytest.mark.parametrize("variant", ["conditioned", "default"])
def test_a_difference_of_two_routers_hangs_on_the_training_of_both(variant: str) -> None:
    shares = {(where, name, variant if name == "trim-agg" else v): share for (where, name, v), share in SHARES.items()}
    failures = {("arith", "trim-agg", variant, 0): "a hole"}
    rows = judged(world_of(episodes(shares, "arith"), failures=failures)).set_index(["key", "method"])
    for statement in (("low-budget", "TRIM-POMDP"), ("high-budget", "TRIM-Agg")):
        assert rows.loc[statement, "failed_training"].endswith("from arith, as trained: a hole")


def test_a_claim_counts_once_however_many_statements_it_makes(claims: pd.DataFrame) -> None:
    together = by_claim(claims)
    assert "learned-hull" not in together
    assert "learned-prm" not in together
    assert (together["efficiency"], together["learned"], together["noisy-prm"]) == ("holds", "mixed", "not tested")
    assert set(together) | {"learned-hull", "learned-prm"} == set(CLAIMS)


def test_what_is_not_there_is_not_tested(claims: pd.DataFrame) -> None:
    for key, reason in {"noisy-prm": "no noisy PRM", "no-refit": "observation model of another dataset"}.items():
        rows = claims[claims["key"] == key]
        assert set(rows["verdict"]) == {"not tested"}
        assert rows["why"].str.contains(reason).all()
    few = {key: share for key, share in SHARES.items() if key[1] in ("trim-thr", "one-step-takeover")}
    rest = judged(world(few)).set_index("key")
    tested = set(rest[rest["verdict"] != "not tested"].index)
    assert tested == {"takeover"}
    assert list(rest.index.unique()) == list(CLAIMS)


def test_one_dataset_alone_transfers_nothing() -> None:
    alone = world_of(episodes(SHARES, "math500"), main="math")
    assert alone.main == "math500"
    rows = judged(alone)
    for key in ("transfer", "transfer-random", "transfer-threshold", "six-fold"):
        assert set(rows.loc[rows["key"] == key, "verdict"]) == {"not tested"}
    assert one(rows, key="takeover")["verdict"] == "holds"


def test_a_noisy_prm_and_a_borrowed_observation_model() -> None:
    noisy = {**SHARES, ("arith", "trim-thr", "default"): 0.5}
    there = world(by_prm={"noisy": episodes(noisy, "arith").assign(prm="noisy")})
    rows = judged(there)
    verdicts = rows[rows["key"] == "noisy-prm"].set_index("method")["verdict"].to_dict()
    assert verdicts == {"TRIM-Agg": "holds", "TRIM-Seq": "undecided", "TRIM-POMDP": "holds"}
    row = one(rows, key="weak-prm")  # one question, one verdict
    assert row["dataset"] == "arith with PRM noisy than with PRM verifier"
    assert (row["verdict"], row["ours"]) == ("holds", pytest.approx(4 / 1 - 4 / 3))
    assert row["paper_value"] == pytest.approx(5 / 1.81 - 5.86 / 4.75)
    turned = replace(there, step_auc={"verifier": 0.8, "noisy": 0.95})  # steps say which PRM is weak, answers do not
    assert one(judged(turned), key="weak-prm")["dataset"] == "arith with PRM verifier than with PRM noisy"
    borrowed = {
        **SHARES,
        ("arith-hard", "trim-pomdp", "default"): 0.2,
        ("arith-hard", "trim-pomdp", "transferred"): 0.25,
    }
    row = one(judged(world(borrowed)), key="no-refit")
    assert (row["verdict"], row["ours"]) == ("fails", pytest.approx(3 / 4))


def test_several_training_runs_count_as_their_mean() -> None:
    runs = [episodes(SHARES, "arith")]
    second = {("arith", "trim-agg", "conditioned"): 0.25}
    more = episodes(second, "arith")
    runs.append(more[more["router"] == "trim-agg"].assign(seed=1))
    found = delta_ibc(world_of(*runs).evidence["arith"], "trim-agg", "arith")
    np.testing.assert_allclose(found, (7 + 3) / 2)


def test_no_gap_leaves_all_undecided() -> None:
    rows = judged(world_of(episodes(SHARES, "arith", weak=1)))
    assert set(rows["verdict"]) == {"undecided", "not tested"}
    undecided = rows[rows["verdict"] == "undecided"]
    assert undecided["ours"].isna().all()
    assert undecided["why"].str.match("Undecided: .*strong is no better than weak,? in most resamples").all()


# --- for the paper ----------------------------------------------------------------------------


def test_the_table_of_the_paper_has_a_line_a_claim(claims: pd.DataFrame) -> None:
    lines = latex_claims(claims).splitlines()
    body = lines[lines.index(r"\midrule") + 1 : lines.index(r"\bottomrule")]
    assert len(body) == len(CLAIMS)
    assert all(len(re.findall(r"(?<!\\)&", line)) == 7 and line.endswith(r"\\") for line in body)
    assert sum(line.startswith(r"\textbf{") for line in body) == len(HEADLINES)
    assert not re.search(r"(?<!\\)%", "".join(body))
    takeover = next(line for line in body if "one-step takeover" in line)
    assert takeover.endswith(r"& $0.00$ & ours & 2 & 0 & 0 & 0 & holds \\")
    assert sum(line.endswith(r"our control \\") for line in body) == 2


def test_quality_is_found_by_prm_and_dataset() -> None:
    table = pd.DataFrame({"prm": ["a", "a"], "dataset": ["x", "x"], "measure": ["AUC", "ECE"], "value": [0.9, 0.1]})
    assert read_auc(table, "AUC") == {("a", "x"): 0.9}
