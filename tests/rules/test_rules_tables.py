"""Rules of tables, each alone: what it leaves, and that it is what the whole run left."""

import re
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from rule_outputs import COSTS, ROUTERS, assert_same
from run_rule import run_rule
from smoke import RESULTS

from trim.evaluation.claims.published import INPUT_PRICES
from trim.names import routers_of


def test_compare_on_dev(smoke_copy: Path, smoke_run: Path) -> None:
    targets = [RESULTS / "tables/dev.csv", RESULTS / "tables/dev_comparisons.csv"]
    run_rule("compare_on_dev", smoke_copy, *targets)
    assert_same(smoke_copy, smoke_run, *targets)
    main = pd.read_csv(smoke_copy / targets[0])
    assert set(main["router"]) == {*routers_of("trim", "own", "query"), "random-query"}
    assert set(main.loc[main["router"] != "random-query", "trained_on"]) == {"arith"} == set(main["dataset"])


def test_compute_metrics(smoke_copy: Path, smoke_run: Path) -> None:
    names = ("curves.csv", "main.csv", "main.tex", "comparisons.csv", "comparisons.tex", "strong_calls.csv")
    targets = [RESULTS / "tables" / name for name in names]
    run_rule("compute_metrics", smoke_copy, *targets)
    assert_same(smoke_copy, smoke_run, *targets)
    curves = pd.read_csv(smoke_copy / targets[0])
    head = ["pair", "dataset", "trained_on", "router", "variant", "seed", "operating_point"]
    assert list(curves)[:9] == [*head, "n_problems", "n_replicates"]
    estimates = ["accuracy", "strong_share", *COSTS[:4], "strong_calls"]
    for name in estimates:
        assert (curves[f"{name}_lo"] <= curves[name] + 1e-9).all(), name
        assert (curves[name] <= curves[f"{name}_hi"] + 1e-9).all(), name
    assert not curves.duplicated(head).any()
    for dataset, size in {"arith": 24, "arith-words": 16}.items():
        rows = curves[curves["dataset"] == dataset]
        assert set(rows["router"]) == {*ROUTERS, "random-query"}
        assert (rows["n_problems"] == size).all()
        assert (rows["n_replicates"] == 1).all()
        strong = rows[rows["router"] == "strong-only"].iloc[0]
        assert strong["strong_share"] == 1
        for router, trained_on in ROUTERS.items():
            episodes = pd.read_parquet(smoke_copy / RESULTS / f"episodes/{router}/{trained_on}/{dataset}.parquet")
            means = episodes.groupby(["variant", "operating_point"])["strong_tokens"].mean()
            found = rows[rows["router"] == router].set_index(["variant", "operating_point"])["strong_tokens"]
            assert len(found) == len(means)
            np.testing.assert_allclose(found.sort_index(), means.sort_index(), rtol=1e-5)
    main = pd.read_csv(smoke_copy / targets[1])
    columns = [*head[:6], "reading", "weak_accuracy", "strong_accuracy", "cpt50", "cpt80", "cpt95", "delta_ibc", "apgr"]
    assert [name for name in main if not re.search("_(lo|hi)$", name)][: len(columns)] == columns
    assert set(main["reading"]) == {"envelope", "paper"}
    undefined = main["strong_accuracy"] <= main["weak_accuracy"]
    assert main.loc[undefined, ["cpt50", "delta_ibc", "apgr"]].isna().all(axis=None)
    assert main.loc[undefined, "reason"].notna().all()


def test_compute_ablations(smoke_copy: Path, smoke_run: Path) -> None:
    targets = [RESULTS / f"tables/{name}.csv" for name in ("ablations", "sampling", "power", "prm_routing")]
    targets += [RESULTS / "tables/training.csv", RESULTS / "tables/bands.csv"]
    run_rule("compute_ablations", smoke_copy, *targets)
    assert_same(smoke_copy, smoke_run, *targets)
    ablations, sampling, power, routing, training, bands = (pd.read_csv(smoke_copy / target) for target in targets)
    assert {"takeover", "look-ahead", "filter", "memory", "budget"} <= set(ablations["ablation"])
    assert set(ablations["dataset"]) == {"arith", "arith-words"}
    assert {"p_value", "p_corrected"} <= set(ablations)
    assert set(sampling["dataset"]) <= {"arith"}
    assert set(power["trained_on"]) <= {"arith"}
    assert {"trim-thr", "trim-agg", "trim-seq", "trim-pomdp"} <= set(routing["router"])
    assert "verifier" in set(routing["prm"])
    assert set(training["router"]) == {"trim-agg", "trim-seq"}
    assert set(training["trained"]) <= {"yes", "no"}
    assert set(ablations.loc[ablations["ablation"] == "memory", "trained"]) <= {"yes", "no"}
    assert set(bands["band"]) == {"0-20%", "20-40%", "40-60%", "60-80%", "80-100%"}


def test_compute_misfit(smoke_copy: Path, smoke_run: Path) -> None:
    targets = [RESULTS / "tables/pomdp_misfit.csv"]
    run_rule("compute_misfit", smoke_copy, *targets)
    assert_same(smoke_copy, smoke_run, *targets)
    table = pd.read_csv(smoke_copy / targets[0])
    assert set(table["split"]) == {"dev", "test"}
    assert set(table["quantity"]) == {"weak-only accuracy", "strong-only accuracy", "strong-only tokens", "J"}
    assert table[["modelled", "measured"]].notna().all(axis=None)


def test_compare_planners(smoke_copy: Path, smoke_run: Path) -> None:
    for room in ("models", "rollouts", "scores", "trees", "episodes"):
        shutil.rmtree(smoke_copy / RESULTS / room)
    targets = [RESULTS / "tables/planners.csv"]
    run_rule("compare_planners", smoke_copy, *targets)
    assert_same(smoke_copy, smoke_run, *targets)
    table = pd.read_csv(smoke_copy / targets[0])
    assert len(table) == 2 * (2 + 2 * 2 + 1)  # kappas; exact and threshold, rollouts by simulations, SARSOP
    assert set(table["planner"]) == {"exact", "threshold", "pouct", "sarsop"}
    assert table["value"].notna().equals(table["reason"].isna())
    times = pd.read_csv(smoke_copy / RESULTS / "benchmarks/planners.csv")
    assert (times["seconds"] > 0).equals(table["planner"] != "sarsop")


def test_score_prefixes(smoke_copy: Path, smoke_run: Path) -> None:
    for room in ("models", "rollouts", "scores", "episodes"):
        shutil.rmtree(smoke_copy / RESULTS / room)
    targets = [RESULTS / "tables/prefixes.csv"]
    run_rule("score_prefixes", smoke_copy, *targets)
    assert_same(smoke_copy, smoke_run, *targets)
    table = pd.read_csv(smoke_copy / targets[0])
    assert {"trim-thr", "trim-agg", "trim-seq", "trim-pomdp", "fitted-q"} <= set(table["router"])
    assert (table[["gain", "gain_of_all"]].le(table["gain_in_hindsight"] + 1e-9, axis=0)).all(axis=None)
    thresholds = table[(table["router"] == "trim-thr") & (table["variant"] == "default")]
    assert len(thresholds) == 2 * 4 and (thresholds["over_threshold"] == 0).all()


def test_compute_generalization(smoke_copy: Path, smoke_run: Path) -> None:
    targets = [RESULTS / "tables" / name for name in ("generalization.csv", "generalization.tex", "transfer.csv")]
    run_rule("compute_generalization", smoke_copy, *targets)
    assert_same(smoke_copy, smoke_run, *targets)
    matrix, moved = (pd.read_csv(smoke_copy / targets[i]) for i in (0, 2))
    assert set(matrix["router"]) == {router for router, trained_on in ROUTERS.items() if trained_on == "arith"}
    assert set(matrix["dataset"]) == {"arith", "arith-words"}
    assert matrix["difference"].isna().all()  # fitted on one dataset only
    assert ((moved["dev_strong_share"] - moved["wanted_share"]).abs() <= 0.05).all()


def test_compute_budgets(smoke_copy: Path, smoke_run: Path) -> None:
    names = ("budgeted.csv", "budgeted.tex", "interventions.csv", "interventions.tex")
    targets = [RESULTS / "tables" / name for name in names]
    run_rule("compute_budgets", smoke_copy, *targets)
    assert_same(smoke_copy, smoke_run, *targets)
    budgets, rescues = (pd.read_csv(smoke_copy / targets[i]) for i in (0, 2))
    assert set(budgets["strong_share"]) == {0.1, 0.15, 0.2, 0.25, 0.3}
    assert set(budgets["router"]) == {*ROUTERS, "random-query"} - {"weak-only", "strong-only"}
    assert set(rescues["strong_calls"]) <= {"1", "2", "3", ">3"}


def test_compute_end_points(smoke_copy: Path, smoke_run: Path) -> None:
    targets = [RESULTS / "tables/end_points.csv"]
    run_rule("compute_end_points", smoke_copy, *targets)
    assert_same(smoke_copy, smoke_run, *targets)
    table = pd.read_csv(smoke_copy / targets[0])
    assert set(table["dataset"]) == {"arith", "arith-words"}
    assert set(table["behaviour"]) == {"weak-only", "strong-only", "mixed"}
    assert (table["accuracy_all_right"] <= table["accuracy"]).all()


def test_measure_prm(smoke_copy: Path, smoke_run: Path) -> None:
    targets = [RESULTS / f"tables/prm_{name}.csv" for name in ("quality", "reliability", "histogram")]
    run_rule("measure_prm", smoke_copy, *targets)
    assert_same(smoke_copy, smoke_run, *targets)
    quality, reliability, histogram = (pd.read_csv(smoke_copy / target) for target in targets)
    for table in (quality, reliability, histogram):
        pairs = set(table[["prm", "dataset"]].itertuples(index=False, name=None))
        home = {(prm, "arith") for prm in ("verifier", "noisy", "classifier", "first-token")}
        assert pairs == home | {("verifier", "arith-words")}
    assert {"value_lo", "value_hi"} <= set(quality)
    steps = pd.read_parquet(smoke_copy / RESULTS / "scores/verifier/arith.test.parquet")
    mine = histogram[(histogram["prm"] == "verifier") & (histogram["dataset"] == "arith")]
    assert mine["right"].sum() == steps["valid"].sum()
    assert mine["wrong"].sum() == (~steps["valid"].astype(bool)).sum()


def test_measure_outcomes(smoke_copy: Path, smoke_run: Path) -> None:
    targets = [RESULTS / f"tables/prm_{name}.csv" for name in ("outcomes", "outcome_reliability")]
    run_rule("measure_outcomes", smoke_copy, *targets)
    assert_same(smoke_copy, smoke_run, *targets)
    outcomes, reliability = (pd.read_csv(smoke_copy / target) for target in targets)
    every = {
        (prm, data) for prm in ("verifier", "noisy", "classifier", "first-token") for data in ("arith", "arith-words")
    }
    for table in (outcomes, reliability):
        assert set(table[["prm", "dataset"]].itertuples(index=False, name=None)) == every
        assert set(table["behaviour"]) == {"all", "weak-only", "strong-only", "mixed"}
    steps = pd.read_parquet(smoke_copy / RESULTS / "scores/noisy/arith-words.test.parquet")
    of_it = outcomes[(outcomes["prm"] == "noisy") & (outcomes["dataset"] == "arith-words")]
    measured = of_it[of_it["behaviour"] == "all"].set_index("measure")
    assert measured.loc["mean step score", "value"] == pytest.approx(steps["score"].mean(), rel=1e-5)
    assert measured.loc["ECE of the step score", "count"] == len(steps)


def test_check_claims(smoke_copy: Path, smoke_run: Path) -> None:
    for room in ("models", "rollouts", "scores", "trees", "routers"):
        shutil.rmtree(smoke_copy / RESULTS / room)
    targets = [RESULTS / "tables" / name for name in ("claims.csv", "claims.tex", "metric_check.csv")]
    run_rule("check_claims", smoke_copy, *targets)
    assert_same(smoke_copy, smoke_run, *targets)
    claims, _, check = (pd.read_csv(smoke_copy / target) if target.suffix == ".csv" else None for target in targets)
    needed = ["claim", "scope", "source", "bar_from", "paper_value", "ours", "lo", "hi", "verdict", "conditions", "why"]
    assert set(needed) <= set(claims)
    described = pd.read_csv(smoke_copy / "data/published/claims.csv")
    statements = claims[claims["scope"] == "analogue"]
    assert list(statements["key"].unique()) == described["key"].tolist()
    assert statements["headline"].dropna().tolist() == ["efficiency", "tokens", "generalization", "takeover", "learned"]
    assert set(claims.loc[claims["scope"] == "same", "verdict"]) == {"not tested"}  # models of our own
    assert claims[["claim", "verdict", "why"]].notna().all(axis=None)
    priced = {f"released log as envelope{label}" for label in INPUT_PRICES}
    assert set(check["source"]) == {"Figure 6", "released log", *priced}
    assert claims.iloc[-1][["key", "scope"]].tolist() == ["price", "price"]


def test_compute_prices(smoke_copy: Path, smoke_run: Path) -> None:
    for room in ("rollouts", "scores", "trees", "routers"):
        shutil.rmtree(smoke_copy / RESULTS / room)
    targets = [RESULTS / "tables" / f"{name}.csv" for name in ("prices", "price_curves", "price_verdicts")]
    run_rule("compute_prices", smoke_copy, *targets)
    assert_same(smoke_copy, smoke_run, *targets)
    prices, curves, verdicts = (pd.read_csv(smoke_copy / target) for target in targets)
    main = pd.read_csv(smoke_copy / RESULTS / "tables" / "main.csv").query("reading == 'envelope'")
    keys = ["dataset", "trained_on", "router", "variant", "seed"]
    metrics = ["delta_ibc", "delta_ibc_lo", "delta_ibc_hi", "cpt50", "cpt95_hi"]
    decoded = prices[prices["price"] == "decoded"]
    pd.testing.assert_frame_equal(
        decoded.set_index(keys)[metrics].sort_index(), main.set_index(keys)[metrics].sort_index(), check_exact=True
    )
    assert {"decoded", "api", "flops"} <= set(prices["price"]) == set(verdicts["price"])
    alone = curves[curves["router"] == "strong-only"]
    assert (alone["cost_share"] == 1).all() and (alone["cost"] > 0).all()
