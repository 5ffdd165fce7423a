"""Small tables and policies that figures are drawn of, and what their legends say."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib import pyplot as plt
from pomdp_models import random_model

from trim.evaluation.budgets import INTERVENTIONS
from trim.routers.learned.agg import AggPolicy, Layer
from trim.routers.learned.features import AggregateEncoder, Scale
from trim.routers.pomdp.disk import SolvedPomdp
from trim.routers.pomdp.observation import ObservationModel, floored
from trim.routers.pomdp.solver import solve


def curve_table() -> pd.DataFrame:
    """Curves of two datasets: end points, TRIM-Thr at six settings, two runs and a variant of TRIM-Agg, controls."""
    rows = []
    for dataset, lift in (("arith", 0.0), ("other", 0.1)):
        points = [("weak-only", "default", 0, 0.0, 0.0, 0.3), ("strong-only", "default", 0, 1.0, 1.0, 0.9)]
        points += [("trim-thr", "default", 0, i / 10, i / 10, 0.3 + 0.1 * i) for i in (4, 1, 6, 2, 3, 5)]
        points += [("trim-thr", "hull", 0, i / 10, i / 10, 0.3 + 0.1 * i) for i in (1, 6)]
        points += [("trim-agg", "conditioned", run, 3 - i, i / 10, 0.35 + 0.1 * i) for run in (0, 1) for i in (1, 2)]
        points += [("trim-agg", "default", 0, 3 - i, i / 10, 0.33 + 0.1 * i) for i in (1, 2)]
        points += [("random-step", "default", 0, i / 10, i / 10, 0.3 + 0.06 * i) for i in (2, 5)]
        points += [("first-error-oracle", "default", 0, 1.0, 0.3, 0.88)]
        points += [("one-step-takeover", "default", 0, 0.5, 0.4, 0.6)]
        for router, variant, run, setting, share, accuracy in points:
            value = accuracy + lift
            row = {"dataset": dataset, "trained_on": "arith", "router": router, "variant": variant, "seed": run}
            row |= {"operating_point": setting, "strong_share": share, "strong_tokens": 80 * share}
            rows.append({**row, "accuracy": value, "accuracy_lo": value - 0.02, "accuracy_hi": value + 0.02})
    return pd.DataFrame(rows)


def call_table() -> pd.DataFrame:
    """Calls at every operating point of TRIM-Thr and TRIM-Agg; they rise with the share, and differ by run."""
    curves = curve_table()
    rows = []
    for point in curves[curves["router"].isin(["trim-thr", "trim-agg"])].to_dict("records"):
        names = ("dataset", "trained_on", "router", "variant", "seed", "operating_point")
        for position in range(5):
            row = {name: point[name] for name in names}
            row |= {"position": position, "episodes": 100 if position < 4 else 19}  # too few to draw
            calls = 10 * point["strong_share"] * (position + 1) + point["seed"]
            rows.append({**row, "strong": calls if point["dataset"] == "arith" else 0})
    return pd.DataFrame(rows)


def claims_table() -> pd.DataFrame:
    """Rows of three claims: one judged on two datasets, one in percent, one not tested; and a number of the paper."""
    nan = np.nan
    rows = [
        ("a", "takeover (delta IBC)", "TRIM-Thr", "arith", "delta IBC", 0, 3.5, 2, 1, 3, "holds", "takeover"),
        ("a", "takeover (delta IBC)", "TRIM-Thr", "arith-hard", "delta IBC", 0, nan, 0.2, -1, nan, "undecided", nan),
        (
            "b",
            "gap",
            "Every look-ahead router, from arith,",
            "arith",
            "PGR at 20%",
            0.95,
            1,
            0.7,
            0.6,
            0.8,
            "fails",
            nan,
        ),
        ("c", "noise", "TRIM-Agg", "one than on two", "delta IBC", 0, 0.8, nan, nan, nan, "not tested", nan),
    ]
    columns = ["key", "title", "method", "dataset", "measure", "bar", "paper_value", "ours", "lo", "hi", "verdict"]
    table = pd.DataFrame(rows, columns=[*columns, "headline"]).assign(scope="analogue")
    table["failed_training"] = [nan, nan, "1 of 1 policies are as they began", nan]
    return pd.concat([table, table.head(1).assign(scope="same")], ignore_index=True)


def prm_tables() -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    pairs = [(prm, dataset) for prm in ("verifier", "classifier") for dataset in ("arith", "arith-hard")]
    quality, reliability, histogram = [], [], []
    for i, (prm, dataset) in enumerate(pairs):
        head = {"prm": prm, "dataset": dataset}
        quality += [
            {**head, "measure": "step AUC up to the first error", "value": 0.9 + i / 100},
            {**head, "measure": "ECE", "value": 0.01 * i},
        ]
        reliability += [{**head, "score": s, "right": s**2} for s in (0.2, 0.5, 0.9)]
        histogram += [{**head, "low": low, "right": 10 * i, "wrong": 5} for low in (0.0, 0.25, 0.5, 0.75)]
    return pd.DataFrame(quality), pd.DataFrame(reliability), pd.DataFrame(histogram)


def outcome_tables() -> tuple[pd.DataFrame, pd.DataFrame]:
    """Two PRMs on two datasets: areas of five kinds of score, which the second PRM has lower; and reliability."""
    outcomes, reliability = [], []
    for place, prm in enumerate(("verifier", "noisy")):
        for dataset, behaviour in (("arith", "weak-only"), ("arith", "mixed"), ("other", "weak-only")):
            head = {"prm": prm, "dataset": dataset, "behaviour": behaviour}
            for i, name in enumerate(("step", "minimum", "mean", "product", "last")):
                area = 0.6 + i / 20 - place / 10 if (dataset, behaviour) == ("arith", "weak-only") else 0.99
                outcomes.append({**head, "measure": f"AUC of the {name} score", "value": area})
            reliability += [
                {**head, "scored": scored, "score": s, "right": s**power - place / 10, "count": count}
                for scored, power in (("step", 1), ("last", 2))
                for s, count in ((0.4, 10), (0.6, 9), (0.9, 50))  # of which the second are too few
            ]
    return with_bounds(outcomes, "value"), pd.DataFrame(reliability)


def solved_pomdp() -> SolvedPomdp:
    model = random_model(np.random.default_rng(3), steps=4, tokens=(3, 9))
    costs = np.array([0.001, 0.01, 0.05])
    solution = solve(model, costs, grid=20)
    kappas = 100 * costs
    return SolvedPomdp(model, kappas, costs, solution.upper, solution.gap, {"operating_points": kappas[::-1].tolist()})


def joint_observation_model() -> ObservationModel:
    pairs = np.random.default_rng(4).dirichlet(np.ones(9), 3).T
    return ObservationModel(np.linspace(0, 1, 4), floored(pairs), np.ones((1, 3)))


def linear_policy(kappa: float) -> AggPolicy:
    """Regenerate where score + minimum / 2 + kappa * tokens < 1."""
    encoder = AggregateEncoder(Scale({}, {}), conditioned=False)
    weight = np.array([[1, 0.5, kappa, 0], [0, 0, 0, 0]], dtype=np.float32)
    return AggPolicy(encoder, (Layer(weight, np.array([0, 1], dtype=np.float32)),), "tanh", kappa)


def scored_rollouts() -> pd.DataFrame:
    """Two solutions of the weak model and one of the strong model; rows out of order."""
    rows = []
    for problem, behaviour, scores in (
        ("a", "weak-only", (0.9, 0.2, 0.7, 0.6)),
        ("b", "weak-only", (0.5, 0.8, 0.999999)),
        ("a", "strong-only", (0.01, 0.02)),
    ):
        for position, score in enumerate(scores):
            row = {"problem_id": problem, "replicate": 0, "behaviour": behaviour, "position": position}
            rows.append({**row, "score": score, "tokens": 4 + 2 * position})
    return pd.DataFrame(rows[::-1])


def learning_table() -> pd.DataFrame:
    """A policy for all kappas, trained twice, and one for each of two kappas."""
    runs = [("trim-seq", "conditioned", run, np.nan, (-0.5, 0.3 + run / 10, 0.2)) for run in (0, 1)]
    runs += [("trim-agg", "default", 0, kappa, (-0.5, 0.4, 0.5)) for kappa in (0.1, 0.2)]
    return pd.DataFrame(
        [
            {"router": router, "variant": variant, "run": run, "kappa": kappa, "timesteps": 1000 * i, "dev_return": y}
            for router, variant, run, kappa, returns in runs
            for i, y in enumerate(returns)
        ]
    )


def query_curves() -> pd.DataFrame:
    """The same curves, with four query-level baselines and the query-level oracle."""
    rows = []
    for dataset, lift in (("arith", 0.0), ("other", 0.1)):
        head = {"dataset": dataset, "seed": 0}
        for router, gain in (("bert", 0.01), ("mf", 0.04), ("sw", 0.02), ("automix-prm", 0.06)):
            sweep = [{"strong_share": share, "accuracy": 0.3 + 0.6 * share + gain + lift} for share in (0.6, 0.2)]
            rows += [head | {"trained_on": "arith", "router": router, "variant": "default"} | row for row in sweep]
        for variant, cost in (("cheapest-first", 0.3), ("dearest-first", 0.5)):
            sweep = [{"strong_share": 0.6, "accuracy": 0.95 + lift}, {"strong_share": cost, "accuracy": 0.6 + lift}]
            oracle = head | {"trained_on": "untrained", "router": "oracle-query", "variant": variant}
            rows += [oracle | row for row in sweep]
    found = pd.DataFrame(rows)
    found = found.assign(strong_tokens=80 * found["strong_share"], operating_point=found["strong_share"])
    bounds = {"accuracy_lo": found["accuracy"] - 0.02, "accuracy_hi": found["accuracy"] + 0.02}
    return pd.concat([curve_table(), found.assign(**bounds)], ignore_index=True)


def price_tables() -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the same curves at three prices, of which the second doubles what routers cost, and their delta IBC."""
    curves = query_curves()
    routed = ~curves["router"].isin(["weak-only", "strong-only"])
    dear = curves.assign(strong_share=curves["strong_share"].where(~routed, 2 * curves["strong_share"]))
    rows = pd.concat([curves.assign(price="decoded"), dear.assign(price="api"), curves.assign(price="flops")])
    measured = rows[rows["router"].isin(["bert", "mf", "sw", "automix-prm"])]
    measured = measured.drop_duplicates(["price", "dataset", "router"])
    gains = measured["router"].map({"bert": 0.1, "mf": 0.3, "sw": np.nan, "automix-prm": 0.5})
    return rows.rename(columns={"strong_share": "cost_share"}), measured.assign(delta_ibc=gains)


def with_bounds(rows: list[dict[str, object]], *names: str) -> pd.DataFrame:
    """Return a table whose estimates of these names have intervals of a tenth on either side."""
    table = pd.DataFrame(rows)
    return table.assign(**{f"{n}_{end}": table[n] + by for n in names for end, by in (("lo", -0.1), ("hi", 0.1))})


def main_table() -> pd.DataFrame:
    """ΔIBC of the routers of `query_curves`, in both readings; that of SW is empty."""
    gains = {"trim-thr": 2.0, "trim-agg": 3.0, "bert": 0.1, "mf": 0.3, "sw": np.nan, "automix-prm": 0.4}
    rows = [
        {"dataset": dataset, "trained_on": "arith", "router": router, "seed": 0, "reading": reading}
        | {"variant": "conditioned" if router == "trim-agg" else "default", "delta_ibc": gain}
        for router, gain in gains.items()
        for dataset in ("arith", "other")
        for reading in ("envelope", "paper")
    ]
    return with_bounds(rows, "delta_ibc")


def generalization_table() -> pd.DataFrame:
    """Two routers trained on two datasets and evaluated on three; a second run that is not drawn, and an empty cell."""
    rows = [
        {"router": router, "variant": "default", "seed": seed, "trained_on": source, "dataset": dataset}
        | {"delta_ibc": np.nan if (router, dataset) == ("bert", "c") else 2 - place - 0.5 * at - 5 * seed}
        for place, router in enumerate(("bert", "trim-thr"))
        for at, source in enumerate(("a", "b"))
        for dataset in "abc"
        for seed in (0, 1)
    ]
    return with_bounds(rows, "delta_ibc")


def prm_routing_table() -> pd.DataFrame:
    """Two routers with three PRMs, best first; the worst does not reach CPT80."""
    rows = [
        {"prm": prm, "auc": auc, "router": router, "variant": "default", "seed": 0}
        | {"delta_ibc": gain + lift, "cpt80": np.nan if prm == "bad" else 1 - auc / 2 - lift}
        for router, lift in (("trim-pomdp", 0.5), ("trim-thr", 0.0))
        for prm, auc, gain in (("good", 0.99, 3.0), ("usual", 0.9, 2.0), ("bad", 0.7, 1.0))
    ]
    rows.append({"prm": "good", "auc": 0.99, "router": "weak-only", "variant": "default", "seed": 0})
    rows.append({"prm": "usual", "auc": 0.9, "router": "trim-seq", "variant": "default", "seed": 0, "delta_ibc": 1.0})
    return with_bounds(rows, "delta_ibc", "cpt80")


def ablation_table() -> pd.DataFrame:
    """A contrast on two datasets, one of two runs; one within a router, by PRM; one of another measure."""
    takeover = {"ablation": "takeover", "question": "What does returning gain?", "prm": "usual"}
    takeover |= {"router": "trim-thr", "other_router": "one-step-takeover"}
    noisy = {
        "ablation": "PRM",
        "question": "What does this PRM change?",
        "router": "trim-thr",
        "other_router": "trim-thr",
    }
    rows = [
        takeover | {"dataset": "arith", "seed": 0, "difference": 1.5, "p_corrected": 0.01},
        takeover | {"dataset": "arith", "seed": 1, "difference": 9.0, "p_corrected": 0.01},
        takeover | {"dataset": "other", "seed": 0, "difference": 0.05, "p_corrected": 0.3},
        takeover | {"dataset": "other", "seed": 0, "difference": 7.0, "p_corrected": 0.3, "measure": "cpt80"},
        takeover | {"dataset": "other", "seed": 0, "difference": np.nan, "trained_on": "other"},
        noisy | {"dataset": "arith", "seed": 0, "difference": -0.5, "p_corrected": 0.04, "prm": "good"},
        noisy | {"dataset": "arith", "seed": 0, "difference": -0.7, "p_corrected": 0.04, "prm": "bad"},
    ]
    usual = {"measure": "delta_ibc", "trained_on": "arith", "variant": "default", "other_variant": "default"}
    return with_bounds([{**usual, "other_seed": 0, "trained": "", **row} for row in rows], "difference")


def budget_table() -> pd.DataFrame:
    """Gap recovered at two budgets on two datasets; MF recovers more than BERT."""
    rows = [
        {"dataset": dataset, "trained_on": "arith", "router": router, "variant": "default", "seed": 0}
        | {"strong_share": share, "pgr": factor * share}
        for dataset in ("arith", "other")
        for router, factor in (("bert", 1.1), ("mf", 1.2), ("trim-thr", 3.0), ("one-step-takeover", 1.5))
        for share in (0.2, 0.1)
    ]
    return with_bounds(rows, "pgr")


def intervention_table() -> pd.DataFrame:
    """TRIM-Thr at two budgets and TRIM-POMDP at one, solving 1, 2, 3 and 4 problems in 1, 2, 3 and more calls."""
    points = [("trim-thr", 0.1), ("trim-thr", 0.2), ("trim-pomdp", 0.2)]
    return pd.DataFrame(
        [
            {"dataset": "arith", "trained_on": "arith", "router": router, "variant": "default", "seed": 0}
            | {"wanted_share": share, "strong_calls": calls, "solved": solved}
            for router, share in points
            for solved, calls in enumerate(INTERVENTIONS, 1)
        ]
    )


def legend(axes: plt.Axes) -> list[str]:
    """Return the labels beside the axes, or below the figure."""
    found = axes.get_legend() or axes.figure.legends[0]
    return [text.get_text() for text in found.get_texts()]
