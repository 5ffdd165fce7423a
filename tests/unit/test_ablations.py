"""Ablations: which routers are compared, and what the differences are."""

import numpy as np
import pandas as pd
import pytest
from made_episodes import ends, made_episodes, right

from trim.config.experiment import Bootstrap
from trim.evaluation.ablations import COLUMNS, FAMILY, ablations, aucs_on, contrasts, looking_ahead, pairs, prm_routing
from trim.evaluation.study import CURVE, Study, measure, studies, study

SETTINGS = Bootstrap(resamples=200)
LEVEL = 0.95
# Thresholds rescue 10 of 30 problems with a call each; who looks ahead rescues 20, takeover writes five steps each.
ROUTERS = {
    ("arith", "trim-thr", "default", 0.5): (right(20), 2 * right(20)),
    ("arith", "trim-thr", "hull", 0.5): (right(20), 2 * right(20)),
    ("arith", "one-step-takeover", "default", 0.5): (right(20), 5 * right(20)),
    ("arith", "trim-pomdp", "default", 1.0): (right(30), right(30)),
    ("arith", "trim-pomdp", "released", 1.0): (right(12), right(12)),
    ("arith", "trim-agg", "conditioned", 1.0): (right(25), right(25)),
    ("arith", "trim-seq", "default", 1.0): (right(25), right(25)),
}
QUALITY = pd.DataFrame(
    {
        "prm": ["main", "main", "sharp"],
        "dataset": ["arith", "arith", "arith"],
        "measure": ["step AUC", "step AUC up to the first error", "step AUC up to the first error"],
        "value": [0.8, 0.9, 0.99],
    }
)

AUCS = {"main": 0.9, "sharp": 0.99}


def made(routers: dict = ROUTERS, **wanted: str) -> dict[str, Study]:
    return studies(made_episodes(ends() | routers, **wanted), SETTINGS, 7)


def by_prm(routers: dict = ROUTERS) -> Study:
    return study(measure(made_episodes(ends() | routers), CURVE), SETTINGS, "7/arith")


def asked(table: pd.DataFrame) -> set[tuple[str, str, str, str, str]]:
    columns = ["ablation", "router", "variant", "other_router", "other_variant"]
    return set(table[columns].itertuples(index=False, name=None))


def test_what_both_sides_are_there_for_is_compared() -> None:
    table = ablations(made(), {}, "arith", "main", LEVEL, {})
    assert list(table) == COLUMNS
    assert asked(table) == {
        ("takeover", "trim-thr", "default", "one-step-takeover", "default"),
        ("look-ahead", "trim-pomdp", "default", "trim-thr", "hull"),
        ("look-ahead", "trim-agg", "conditioned", "trim-thr", "hull"),
        ("look-ahead", "trim-seq", "default", "trim-thr", "hull"),
        ("filter", "trim-pomdp", "default", "trim-pomdp", "released"),
        ("budget", "trim-pomdp", "default", "trim-agg", "conditioned"),
    }
    assert set(table["prm"]) == {"main"}
    budget = table[table["ablation"] == "budget"]
    assert budget["measure"].tolist() == [
        *(f"PGR at {share}%" for share in (5, 10, 20, 30, 40)),
        *("cpt50", "cpt80", "cpt95"),
    ]


def test_differences_by_hand() -> None:
    table = ablations(made(), {}, "arith", "main", LEVEL, {})
    takeover = table[table["ablation"] == "takeover"].set_index("measure")
    # One point each at a PGR of 1/3, at shares of 10 and 25 % (40 and 100 of 400 calls); CPT50 is never reached.
    assert np.isnan(takeover.loc["cpt50", ["value", "other_value", "difference", "p_value"]].astype(float)).all()
    levels = np.arange(1, 101) / 100
    expected = [np.mean(np.where(levels <= 1 / 3, 1 / (3 * share), levels)) - 1 for share in (0.1, 0.25)]
    values = takeover.loc["delta_ibc", ["value", "other_value"]].astype(float)
    np.testing.assert_allclose(values, expected)
    assert takeover.loc["delta_ibc", "difference"] == pytest.approx(expected[0] - expected[1])
    assert takeover.loc["delta_ibc", "difference_lo"] > 0
    budget = table[table["ablation"] == "budget"].set_index("measure")
    # 30 calls of 400 give a PGR of 2/3, 25 give one of 1/2.
    assert budget.loc["PGR at 20%", ["value", "other_value"]].tolist() == pytest.approx([2 / 3, 1 / 2])
    assert budget.loc["cpt50", "value"] == pytest.approx(0.075 * 3 / 4)


def test_p_values_are_corrected_within_an_ablation() -> None:
    table = ablations(made(), {}, "arith", "main", LEVEL, {})
    assert (table["p_corrected"].dropna() >= table["p_value"].dropna()).all()
    for _, family in table.groupby(FAMILY):
        p = family["p_value"].dropna()
        lowest = family.loc[p.idxmin(), "p_corrected"]
        assert lowest == pytest.approx(min(1, len(p) * p.min()))


def test_a_contrast_says_whether_what_it_compares_was_trained() -> None:
    runs = {
        ("arith", "trim-agg", "conditioned", 0): "",
        ("arith", "trim-seq", "default", 0): "3 policies are as they began",
    }
    table = ablations(made(), {"same": by_prm()}, "arith", "main", LEVEL, runs)
    here = table[table["prm"] == "main"].drop_duplicates(["ablation", "router"]).set_index(["ablation", "router"])
    assert here["trained"].to_dict() == {
        ("budget", "trim-pomdp"): "yes",  # against TRIM-Agg
        ("filter", "trim-pomdp"): "",  # nothing learned
        ("look-ahead", "trim-agg"): "yes",
        ("look-ahead", "trim-pomdp"): "",
        ("look-ahead", "trim-seq"): "no",
        ("takeover", "trim-thr"): "",
    }
    assert here.loc[("look-ahead", "trim-seq"), "why"] == "trim-seq: 3 policies are as they began"
    again = table[(table["prm"] == "same") & (table["router"] != "trim-thr")].set_index("router")["trained"]
    assert again.groupby(level=0).first().to_dict() == {"trim-agg": "unknown", "trim-pomdp": "", "trim-seq": "unknown"}


def test_prms_are_compared_on_the_same_resamples() -> None:
    worse = {point: (right(15), calls) if "trim" in point[1] else (_, calls) for point, (_, calls) in ROUTERS.items()}
    table = ablations(made(), {"noisy": by_prm(worse), "same": by_prm()}, "arith", "main", LEVEL, {})
    of_prms = table[table["ablation"] == "quality of the PRM"]
    assert set(of_prms["prm"]) == {"noisy", "same"}
    assert asked(of_prms) == {
        ("quality of the PRM", "trim-agg", "conditioned", "trim-thr", "default"),
        ("quality of the PRM", "trim-seq", "default", "trim-thr", "default"),
        ("quality of the PRM", "trim-pomdp", "default", "trim-thr", "default"),
        ("quality of the PRM", "trim-thr", "default", "trim-thr", "default"),
    }
    across = of_prms[of_prms["other_router"].eq("trim-thr") & of_prms["router"].eq("trim-thr")]
    ibc = across[across["measure"] == "delta_ibc"].set_index("prm")
    assert ibc.loc["same", ["difference", "difference_lo", "difference_hi"]].tolist() == [0, 0, 0]
    assert ibc.loc["noisy", "difference_hi"] < 0


def test_an_experiment_without_anything_to_compare_has_an_empty_table() -> None:
    only = {key: value for key, value in ROUTERS.items() if key[1:3] == ("trim-thr", "default")}
    table = ablations(made(only), {}, "arith", "main", LEVEL, {})
    assert list(table) == COLUMNS
    assert table.empty


def test_training_runs_are_paired_by_number() -> None:
    learned = ("trim-agg", "trim-seq")
    runs = {("arith", router, "default", 1.0): ROUTERS["arith", "trim-seq", "default", 1.0] for router in learned}
    tables = [made_episodes(ends() | runs, seed=seed) for seed in (0, 1)]
    twice = pd.concat([tables[0], tables[1][~tables[1]["router"].str.endswith("only")]])
    data = studies(twice, SETTINGS, 7)["arith"]
    two, also = (data.find(router, "default") for router in learned)
    assert [(a.seed, b.seed) for a, b in pairs(two, also)] == [(0, 0), (1, 1)]
    assert [(a.seed, b.seed) for a, b in pairs(two, also[1:])] == [(0, 1), (1, 1)]
    assert not list(pairs(two, []))


def test_every_question_is_asked_of_two_different_routers() -> None:
    for contrast in contrasts():
        assert contrast.of != contrast.against
        assert contrast.question.endswith("?")
    both = [(contrast.ablation, contrast.of, contrast.against) for contrast in contrasts()]
    assert len(set(both)) == len(both)


def test_routing_by_prm_is_in_order_of_the_auc() -> None:
    fewer = {key: value for key, value in ROUTERS.items() if key[1] in ("trim-thr", "trim-pomdp")}
    prms = {"sharp": by_prm(fewer), "unmeasured": by_prm(fewer)}
    table = prm_routing(made(), prms, "arith", "main", "arith", AUCS, LEVEL)
    assert table["prm"].drop_duplicates().tolist() == ["main", "sharp", "unmeasured"]
    assert table["auc"].drop_duplicates().tolist()[:2] == [0.9, 0.99]
    assert np.isnan(table["auc"].iloc[-1])
    assert set(table.loc[table["prm"] == "main", "router"]) == {"trim-thr", "trim-pomdp"}  # those that others have
    assert table.groupby("prm").size().nunique() == 1
    alone = prm_routing(made(), {}, "arith", "main", "arith", AUCS, LEVEL)
    assert set(alone["router"]) == {"trim-thr", "trim-agg", "trim-seq", "trim-pomdp"}


def test_routers_that_were_fitted_elsewhere_are_compared_where_they_were_evaluated() -> None:
    there = made(dataset="elsewhere")
    prms = {"noisy": by_prm()}
    table = prm_routing(there, prms, "elsewhere", "main", "arith", {"noisy": 0.6, "main": 0.7}, LEVEL)
    assert table["prm"].drop_duplicates().tolist() == ["noisy", "main"]
    assert prm_routing(there, prms, "elsewhere", "main", "elsewhere", {}, LEVEL).empty  # nothing was fitted there
    across = ablations(there, prms, "elsewhere", "main", LEVEL, {}).query("ablation == 'quality of the PRM'")
    assert set(across["dataset"]) == {"elsewhere"}
    assert ("trim-thr", "trim-thr") in set(zip(across["router"], across["other_router"], strict=True))


def test_without_labels_a_prm_is_known_by_its_lowest_scores() -> None:
    assert aucs_on("arith", QUALITY) == AUCS
    rows = [
        (prm, dataset, behaviour, measure)
        for prm in ("value", "noisy")
        for dataset in ("gsm8k", "math500")
        for behaviour in ("all", "weak-only")
        for measure in ("AUC of the step score", "AUC of the minimum score")
    ]
    outcomes = pd.DataFrame(rows, columns=["prm", "dataset", "behaviour", "measure"])
    outcomes["value"] = np.arange(len(rows)) / 100
    assert aucs_on("math500", outcomes) == {"value": 0.07, "noisy": 0.15}


def test_a_home_that_is_not_evaluated_has_nothing_to_show() -> None:
    away = made(dataset="elsewhere")
    table = prm_routing(away, {}, "arith", "main", "arith", AUCS, LEVEL)
    assert table.empty
    assert "delta_ibc_lo" in table
    prms = {"noisy": by_prm()}
    assert set(prm_routing(away, prms, "arith", "main", "arith", AUCS, LEVEL)["prm"]) == {"noisy"}
    of_prms = ablations(away, prms, "arith", "main", LEVEL, {}).query("ablation == 'quality of the PRM'")
    assert set(of_prms["other_router"]) == {"trim-thr"}
    assert "trim-thr" not in set(of_prms["router"])


def test_who_looks_ahead_is_known_to_names() -> None:
    assert looking_ahead() == [
        ("trim-agg", "default"),
        ("trim-agg", "conditioned"),
        ("trim-seq", "default"),
        ("trim-seq", "conditioned"),
        ("trim-pomdp", "default"),
    ]
