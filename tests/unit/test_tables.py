"""Tables of a small experiment, worked out by hand."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from one_curve import read_one

from trim.config.experiment import Bootstrap
from trim.errors import InputError
from trim.evaluation.curves import READINGS, pgr_at
from trim.evaluation.study import RANDOM_QUERY_SHARES
from trim.evaluation.tables import latex_comparisons, latex_main, make_tables, strong_calls
from trim.files import write_csv

SETTINGS = Bootstrap(resamples=200, compared_shares=(0.2, 0.5))
KEYS = ["trained_on", "router", "variant", "operating_point"]

# problem: correct in replicates 0 and 1, strong tokens in both
SWEEPS = {
    ("untrained", "weak-only", "default", 0.0): {
        "a": ([1, 1], [0, 0]),
        "b": ([0, 1], [0, 0]),
        "c": ([0, 0], [0, 0]),
        "d": ([0, 0], [0, 0]),
    },
    ("untrained", "strong-only", "default", 1.0): {
        "a": ([1, 1], [10, 20]),
        "b": ([1, 1], [30, 30]),
        "c": ([1, 1], [40, 40]),
        "d": ([1, 0], [50, 70]),
    },
    ("arith", "trim-thr", "default", 0.3): {
        "a": ([1, 1], [0, 2]),
        "b": ([1, 1], [9, 9]),
        "c": ([0, 0], [0, 0]),
        "d": ([0, 0], [4, 5]),
    },
    ("arith", "trim-thr", "default", 0.8): {
        "a": ([1, 1], [5, 7]),
        "b": ([1, 1], [15, 15]),
        "c": ([1, 1], [12, 30]),
        "d": ([0, 0], [20, 41]),
    },
}
WEAK, STRONG, TOKENS = 3 / 8, 7 / 8, 290 / 8
POINTS = {0.3: (29 / 290, 4 / 8), 0.8: (145 / 290, 6 / 8)}


def episodes(sweeps: dict = SWEEPS, dataset: str = "arith") -> pd.DataFrame:
    rows = []
    for key, problems in sweeps.items():
        for problem, columns in problems.items():
            for replicate, (correct, tokens) in enumerate(zip(*columns, strict=True)):
                row = {"dataset": dataset, **dict(zip(KEYS, key, strict=True)), "seed": 0, "problem_id": problem}
                row |= {"replicate": replicate, "correct": bool(correct), "strong_tokens": tokens}
                row |= {"weak_tokens": 100 + replicate, "discarded_tokens": tokens // 2, "prm_tokens": 2 * tokens}
                row |= {"strong_prefill_tokens": 3 * tokens, "strong_calls": tokens // 5}
                rows.append({**row, "authors": ("s" if tokens else "w") + "w" * correct})
    return pd.DataFrame(rows)


@pytest.fixture(scope="module")
def tables() -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    return make_tables(episodes(), "tiny", SETTINGS, 7)


def rows_of(table: pd.DataFrame, **wanted: object) -> pd.DataFrame:
    for column, value in wanted.items():
        table = table[table[column] == value]
    return table


def test_curves_by_hand(tables: tuple[pd.DataFrame, ...]) -> None:
    curves = tables[0]
    for setting, (share, accuracy) in POINTS.items():
        (row,) = rows_of(curves, router="trim-thr", operating_point=setting).to_dict("records")
        assert (row["pair"], row["dataset"], row["trained_on"], row["seed"]) == ("tiny", "arith", "arith", 0)
        assert (row["n_problems"], row["n_replicates"]) == (4, 2)
        assert row["accuracy"] == accuracy
        assert row["strong_share"] == pytest.approx(share)
        assert row["strong_tokens"] == pytest.approx(share * TOKENS)
        assert row["weak_tokens"] == 100.5
        assert row["prm_tokens"] == pytest.approx(2 * share * TOKENS)
        assert row["strong_prefill_tokens"] == pytest.approx(3 * share * TOKENS)
    (first,) = rows_of(curves, router="trim-thr", operating_point=0.3).to_dict("records")
    assert first["discarded_tokens"] == (0 + 1 + 4 + 4 + 2 + 2) / 8
    assert first["strong_calls"] == (1 + 1 + 1) / 8
    ends = {row["router"]: row for row in curves.to_dict("records") if row["router"].endswith("only")}
    assert (ends["weak-only"]["accuracy"], ends["weak-only"]["strong_share"]) == (WEAK, 0)
    assert (ends["strong-only"]["accuracy"], ends["strong-only"]["strong_share"]) == (STRONG, 1)
    assert len(curves) == 4 + len(RANDOM_QUERY_SHARES)


def test_random_query_is_the_straight_line(tables: tuple[pd.DataFrame, ...]) -> None:
    line = rows_of(tables[0], router="random-query")
    shares = np.array(RANDOM_QUERY_SHARES)
    np.testing.assert_allclose(line["operating_point"], shares)
    np.testing.assert_allclose(line["strong_share"], shares)
    np.testing.assert_allclose(line["accuracy"], WEAK + shares * (STRONG - WEAK))
    (metrics,) = rows_of(tables[1], router="random-query", reading="envelope").to_dict("records")
    cpts = [metrics[name] for name in ("cpt50", "cpt80", "cpt95")]
    assert (*cpts, metrics["apgr"]) == pytest.approx((0.5, 0.8, 0.95, 0.5))
    assert metrics["delta_ibc"] == pytest.approx(0, abs=1e-9)


def test_headline_metrics_are_those_of_the_curve(tables: tuple[pd.DataFrame, ...]) -> None:
    shares, accuracies = zip(*POINTS.values(), strict=True)
    for name, reading in READINGS.items():
        (row,) = rows_of(tables[1], router="trim-thr", reading=name).to_dict("records")
        for metric, value in read_one(reading, shares, accuracies, WEAK, STRONG).items():
            assert row[metric] == pytest.approx(value if np.isfinite(value) else np.nan, nan_ok=True)
        assert (row["weak_accuracy"], row["strong_accuracy"], row["reason"]) == (WEAK, STRONG, "")
    # A PGR of 0.5 is an accuracy of 5/8, half way between the points.
    (envelope,) = rows_of(tables[1], router="trim-thr", reading="envelope").to_dict("records")
    assert envelope["cpt50"] == pytest.approx((0.1 + 0.5) / 2)
    assert set(tables[1]["router"]) == {"trim-thr", "random-query"}


def test_intervals_hold_their_estimates(tables: tuple[pd.DataFrame, ...]) -> None:
    curves = tables[0]
    for name in ("accuracy", "strong_tokens", "strong_share", "strong_calls"):
        assert (curves[f"{name}_lo"] <= curves[name]).all()
        assert (curves[name] <= curves[f"{name}_hi"]).all()
    (row,) = rows_of(curves, router="trim-thr", operating_point=0.8).to_dict("records")
    assert row["accuracy_lo"] < row["accuracy"] < row["accuracy_hi"]
    (strong,) = rows_of(curves, router="strong-only").to_dict("records")
    assert (strong["strong_share_lo"], strong["strong_share_hi"]) == (1, 1)  # a share of itself, in every resample
    # Weak and strong are equally good when the same problem, "a", is drawn four times: about 0.4 % of resamples.
    assert 0 <= tables[1]["undefined_resamples"].iloc[0] < 0.03


def test_comparisons_are_paired_differences(tables: tuple[pd.DataFrame, ...]) -> None:
    comparisons = tables[2]
    assert comparisons["quantity"].tolist() == ["PGR at 20%", "PGR at 50%", "CPT80", "CPT95", "delta IBC"]
    assert set(comparisons["other_router"]) == {"random-query"}
    shares, accuracies = (np.array([column]) for column in zip(*POINTS.values(), strict=True))
    ours = pgr_at(shares, accuracies, np.array([WEAK]), np.array([STRONG]), [0.2, 0.5])[0]
    np.testing.assert_allclose(comparisons["value"][:2], ours)
    np.testing.assert_allclose(comparisons["other_value"][:2], [0.2, 0.5])
    unreached = rows_of(comparisons, quantity="CPT80").iloc[0]
    assert (np.isnan(unreached["value"]), unreached["difference"]) == (True, np.inf)
    known = comparisons.dropna(subset="value")
    np.testing.assert_allclose(known["difference"], known["value"] - known["other_value"])
    assert (known["difference_lo"] <= known["difference_hi"]).all()
    assert ((known["p_value"] > 0) & (known["p_value"] <= 1)).all()
    assert (known["p_corrected"] == known["p_value"]).all()  # a family of one each


def test_a_variant_is_compared_with_the_default_and_the_oracle_with_nothing() -> None:
    default = {key: value for key, value in SWEEPS.items() if key[1] == "trim-thr"}
    more = {("arith", "trim-thr", "hull", key[3]): value for key, value in default.items()}
    more |= {("untrained", "first-error-oracle", "default", 1.0): SWEEPS["arith", "trim-thr", "default", 0.8]}
    _, main, comparisons = make_tables(episodes(SWEEPS | more), "tiny", SETTINGS, 7)
    assert set(zip(comparisons["other_router"], comparisons["other_variant"], strict=True)) == {
        ("trim-thr", "hull"),
        ("random-query", "default"),
    }
    query = rows_of(comparisons, other_variant="default", quantity="delta IBC").iloc[0]
    assert query["p_corrected"] == pytest.approx(min(2 * query["p_value"], 1))  # the other one's p-value is 1
    hull = rows_of(comparisons, other_variant="hull")
    apart = hull[["difference", "difference_lo", "difference_hi"]].dropna()
    assert len(apart) >= 3
    assert (apart == 0).all(axis=None)  # the very same episodes
    assert "first-error-oracle" in set(main["router"])


def test_routers_are_compared_with_those_trained_on_the_same_dataset() -> None:
    default = {key: value for key, value in SWEEPS.items() if key[1] == "trim-thr"}
    more = {("arith", "trim-pomdp", "default", key[3]): value for key, value in default.items()}
    more |= {("other", "trim-thr", "default", key[3]): value for key, value in default.items()}
    comparisons = make_tables(episodes(SWEEPS | more), "tiny", SETTINGS, 7)[2]
    pairs = set(zip(comparisons["trained_on"], comparisons["router"], comparisons["other_router"], strict=True))
    assert pairs == {
        ("arith", "trim-thr", "trim-pomdp"),
        ("arith", "trim-thr", "random-query"),
        ("arith", "trim-pomdp", "trim-thr"),
        ("arith", "trim-pomdp", "random-query"),
        ("other", "trim-thr", "random-query"),
    }


def test_training_runs_are_sweeps_of_their_own() -> None:
    twice = pd.concat([episodes(), episodes().query("router == 'trim-thr'").assign(seed=1)])
    main = make_tables(twice, "tiny", SETTINGS, 7)[1]
    assert rows_of(main, router="trim-thr", reading="envelope")["seed"].tolist() == [0, 1]


def test_without_a_gap_the_metrics_are_empty_with_the_reason() -> None:
    swapped = dict(SWEEPS)
    weak, strong = list(SWEEPS)[:2]
    good, bad = SWEEPS[strong], SWEEPS[weak]
    swapped[weak] = {p: (good[p][0], [0, 0]) for p in good}
    swapped[strong] = {p: (bad[p][0], good[p][1]) for p in good}
    curves, main, comparisons = make_tables(episodes(swapped), "tiny", SETTINGS, 7)
    assert set(main["reason"]) == {"strong is not better than weak"}
    for name in ("cpt50", "cpt80", "cpt95", "delta_ibc", "apgr"):
        assert main[[name, f"{name}_lo", f"{name}_hi"]].isna().all(axis=None)
    assert (main["undefined_resamples"] > 0.9).all()
    assert comparisons[["difference", "p_value"]].isna().all(axis=None)
    assert curves["accuracy"].notna().all()
    assert "--" in latex_main(main)


def test_a_problem_that_one_sweep_lacks_is_an_error() -> None:
    table = episodes()
    lacking = table[~((table["router"] == "trim-thr") & (table["problem_id"] == "c"))]
    with pytest.raises(
        InputError, match=r"trim-thr \(default\), trained on arith, was not evaluated on every problem of arith"
    ):
        make_tables(lacking, "tiny", SETTINGS, 7)
    one_point = table[~((table["operating_point"] == 0.8) & (table["problem_id"] == "c"))]
    with pytest.raises(InputError, match="trim-thr"):
        make_tables(one_point, "tiny", SETTINGS, 7)


def test_the_order_of_rows_has_no_influence(tmp_path: Path) -> None:
    table = pd.concat([episodes(), episodes(dataset="other")], ignore_index=True)
    orders = [table, table.sample(frac=1, random_state=1), table[::-1]]
    for i, order in enumerate(orders):
        for name, result in zip(("curves", "main", "comparisons"), make_tables(order, "t", SETTINGS, 7), strict=True):
            write_csv(result, tmp_path / f"{name}{i}.csv")
        write_csv(strong_calls(order), tmp_path / f"calls{i}.csv")
    for name in ("curves", "main", "comparisons", "calls"):
        first, *others = ((tmp_path / f"{name}{i}.csv").read_bytes() for i in range(3))
        assert others == [first, first]
        assert b"other" in first


def test_datasets_do_not_mix_and_the_seed_counts(tables: tuple[pd.DataFrame, ...]) -> None:
    both = pd.concat([episodes(), episodes(dataset="other").assign(correct=True)], ignore_index=True)
    alone = rows_of(make_tables(both, "tiny", SETTINGS, 7)[0], dataset="arith").reset_index(drop=True)
    pd.testing.assert_frame_equal(alone, tables[0])
    reseeded = make_tables(episodes(), "tiny", SETTINGS, 8)[0]
    assert (reseeded["accuracy"] == tables[0]["accuracy"]).all()
    assert (reseeded["strong_tokens_lo"] != tables[0]["strong_tokens_lo"]).any()


def test_strong_calls_by_hand() -> None:
    table = pd.DataFrame(
        {
            "dataset": "arith",
            "trained_on": "arith",
            "router": "trim-thr",
            "variant": "default",
            "seed": 0,
            "operating_point": [0.3, 0.3, 0.3, 0.8],
            "authors": ["wsw", "ss", "w", "sws"],
        }
    )
    calls = strong_calls(table)
    low, high = (calls[calls["operating_point"] == k] for k in (0.3, 0.8))
    assert low[["position", "episodes", "strong"]].values.tolist() == [[0, 3, 1], [1, 2, 2], [2, 1, 0]]
    assert high[["position", "episodes", "strong"]].values.tolist() == [[0, 1, 1], [1, 1, 0], [2, 1, 1]]


def test_latex_says_what_the_tables_say(tables: tuple[pd.DataFrame, ...]) -> None:
    _, main, comparisons = tables
    (row,) = rows_of(main, router="trim-thr", reading="envelope").to_dict("records")
    text = latex_main(main.assign(variant=["hull" if r == "trim-thr" else "default" for r in main["router"]]))
    assert text.count(r"\\") == 1 + 2  # one row a router: the envelope reading alone
    assert (
        f"arith & trim-thr (hull) & ${100 * row['cpt50']:.1f}$ {{\\scriptsize [${100 * row['cpt50_lo']:.1f}$, " in text
    )
    assert latex_comparisons(comparisons).count(r"\\") == 1 + 1  # delta IBC alone
    assert "arith & arith & trim-thr & random-query & $" in latex_comparisons(comparisons)
