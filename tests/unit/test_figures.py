"""Figures of small tables: what is drawn, and that the same numbers give the same bytes."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from matplotlib import pyplot as plt
from matplotlib.figure import Figure
from matplotlib.text import Text
from pomdp_models import random_model, random_observed

from trim.errors import InputError
from trim.evaluation.budgets import INTERVENTIONS
from trim.figures import (
    ablations,
    accuracy_vs_cost,
    budgeted,
    claims,
    controls,
    decision_map,
    generalization_matrix,
    interventions,
    joint_observation,
    learning_curves,
    observation_model,
    oracle_region,
    pomdp_policy,
    prm_quality_routing,
    prm_reliability,
    stepwise_vs_query,
    strong_calls,
    transfer_curves,
)
from trim.figures.style import PAGE_INCHES, SMALL, STATE_LOOKS, save
from trim.names import END_POINTS, look_of, names, routers_of
from trim.routers.learned.agg import AggPolicy, Layer
from trim.routers.learned.features import AggregateEncoder, Scale
from trim.routers.pomdp.disk import SolvedPomdp
from trim.routers.pomdp.observation import ObservationModel, floored
from trim.routers.pomdp.policy import PomdpPolicy
from trim.routers.pomdp.solver import solve

ORIGIN = {"config_hash": "0123456789ab", "code": "0.1+abc"}


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
    return with_bounds([{**usual, "other_seed": 0, **row} for row in rows], "difference")


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


DRAWINGS: dict[str, Callable[[], Figure]] = {
    "accuracy_vs_cost": lambda: accuracy_vs_cost.draw(curve_table(), "arith", "arith"),
    "controls": lambda: controls.draw(curve_table(), "arith", "arith"),
    "strong_calls": lambda: strong_calls.draw(call_table(), curve_table(), "arith", "arith"),
    "claims": lambda: claims.draw(claims_table()),
    "prm_reliability": lambda: prm_reliability.draw(*prm_tables()),
    "observation_model": lambda: observation_model.draw(solved_pomdp().model.observation, "arith"),
    "joint_observation": lambda: joint_observation.draw(joint_observation_model(), "arith"),
    "pomdp_policy": lambda: pomdp_policy.draw(solved_pomdp(), "arith"),
    "learning_curves": lambda: learning_curves.draw(learning_table(), "arith"),
    "stepwise_vs_query": lambda: stepwise_vs_query.draw(query_curves(), main_table(), "arith", "arith"),
    "oracle_region": lambda: oracle_region.draw(query_curves(), ["arith", "other"], "arith"),
    "transfer_curves": lambda: transfer_curves.draw(curve_table(), ["arith", "other"], ["arith"]),
    "generalization_matrix": lambda: generalization_matrix.draw(generalization_table()),
    "prm_quality_routing": lambda: prm_quality_routing.draw(prm_routing_table(), "arith"),
    "ablations": lambda: ablations.draw(ablation_table()),
    "budgeted": lambda: budgeted.draw(budget_table(), ["arith", "other"], "arith"),
    "interventions": lambda: interventions.draw(intervention_table(), ["arith"], "arith"),
    "decision_map": lambda: decision_map.draw([linear_policy(k) for k in (0.01, 0.1)], scored_rollouts(), "arith"),
}


@pytest.fixture(autouse=True)
def _nothing_stays_open() -> Iterator[None]:
    yield
    plt.close("all")


def legend(axes: plt.Axes) -> list[str]:
    """Return the labels beside the axes, or below the figure."""
    found = axes.get_legend() or axes.figure.legends[0]
    return [text.get_text() for text in found.get_texts()]


def test_accuracy_against_cost_draws_each_router_once() -> None:
    figure = accuracy_vs_cost.draw(curve_table(), "arith", "arith")
    whole, low = figure.axes
    assert (whole.get_xlabel(), whole.get_ylabel()) == ("strong tokens per problem", "accuracy")
    assert (whole.get_title(), low.get_title()) == ("arith: accuracy against cost", "arith: low budgets")
    assert (whole.get_xlim(), low.get_xlim()) == ((0, 80), (0, pytest.approx(24)))
    assert whole.get_ylim() == low.get_ylim()
    shown = ["TRIM-Thr", "TRIM-Agg", "TRIM-Thr, hull", "random step", "first-error oracle"]  # no second variant
    assert legend(whole) == [*shown[:4], "random query", *shown[4:]]
    for axes in (whole, low):
        lines = {line.get_label(): line for line in axes.get_lines()}
        np.testing.assert_allclose(lines["TRIM-Thr"].get_xdata(), [8, 16, 24, 32, 40, 48])  # by cost
        np.testing.assert_allclose(lines["TRIM-Thr"].get_ydata(), [0.4, 0.5, 0.6, 0.7, 0.8, 0.9])
        np.testing.assert_allclose(lines["TRIM-Agg"].get_ydata(), [0.45, 0.55])
        np.testing.assert_allclose(lines["_TRIM-Agg"].get_ydata(), [0.45, 0.55])  # the second run: a line of its own
        np.testing.assert_allclose(lines["random query"].get_xydata(), [[0, 0.3], [80, 0.9]])
        assert len({lines[name].get_color() for name in shown}) == len(shown)
        levels = [line.get_ydata()[0] for line in axes.get_lines() if line.get_label().startswith("_")][:2]
        assert levels == pytest.approx([0.3, 0.9])
        assert {text.get_text() for text in axes.texts} == {"weak only 30.0%", "strong only 90.0%"}
        assert axes.child_axes[0].get_xlabel() == "strong share (%)"
        bands = [band.get_paths()[0].vertices for band in axes.collections if hasattr(band, "get_paths")]
        assert any(np.isclose(band[:, 1].min(), 0.38) and np.isclose(band[:, 1].max(), 0.92) for band in bands)


def test_accuracy_against_cost_shows_the_variant_that_there_is() -> None:
    curves = curve_table()
    figure = accuracy_vs_cost.draw(curves[curves["variant"] != "conditioned"], "arith", "arith")
    assert "TRIM-Agg, per kappa" in legend(figure.axes[0])


def test_points_of_others_are_hollow_and_named() -> None:
    published = pd.DataFrame({"router": ["trim-thr", "trim-pomdp"], "strong_tokens": [10, 20], "accuracy": [0.5, 0.6]})
    axes = accuracy_vs_cost.draw(curve_table(), "arith", "arith", published).axes[0]
    lines = {line.get_label(): line for line in axes.get_lines()}
    assert {"TRIM-Thr, published", "TRIM-POMDP, published"} <= set(legend(axes))
    assert lines["TRIM-POMDP, published"].get_fillstyle() == "none"
    np.testing.assert_allclose(lines["TRIM-POMDP, published"].get_xydata(), [[20, 0.6]])
    ours, theirs = lines["TRIM-Thr"], lines["TRIM-Thr, published"]
    assert (ours.get_color(), ours.get_marker()) == (theirs.get_color(), theirs.get_marker())


def test_ticks_are_not_rounded() -> None:
    whole = accuracy_vs_cost.draw(curve_table(), "arith", "arith").axes[0]
    label = whole.yaxis.get_major_formatter()
    assert [label(value, 0) for value in (0.7, 0.725, 0.75)] == ["70%", "72.5%", "75%"]


def test_the_share_axis_is_that_of_the_strong_model_alone() -> None:
    figure = accuracy_vs_cost.draw(curve_table(), "arith", "arith")
    figure.canvas.draw()
    for axes in figure.axes:
        low, high = axes.child_axes[0].get_xlim()
        assert (low, high) == pytest.approx(tuple(100 * x / 80 for x in axes.get_xlim()))


def test_controls_hold_what_the_main_figure_leaves_out() -> None:
    left, right = controls.draw(curve_table(), "arith", "arith").axes
    assert legend(left) == ["TRIM-Thr", "TRIM-Thr, hull", "one-step takeover", "random step", "random query"]
    assert legend(right) == ["TRIM-Thr", "TRIM-Agg", "TRIM-Agg, per kappa"]
    lines = {line.get_label(): line for line in right.get_lines()}
    np.testing.assert_allclose(lines["TRIM-Agg, per kappa"].get_ydata(), [0.43, 0.53])


def test_every_look_is_drawn_somewhere() -> None:
    apart = {key for key in names() if key[0] in (*routers_of("query"), *END_POINTS, oracle_region.ORACLE)}
    panels = {key for keys in controls.questions().values() for key in keys}
    assert {*accuracy_vs_cost.references(), *apart, *panels} == set(names())


def test_looks_survive_greyscale() -> None:
    looks = [name.look for name in names().values() if name.family != "end"]
    assert len({(look.marker, look.line) for look in looks}) == len(looks)


def test_strong_calls_draw_the_points_nearest_to_the_budgets() -> None:
    figure = strong_calls.draw(call_table(), curve_table(), "arith", "arith")
    assert [axes.get_title() for axes in figure.axes] == [f"arith, {share}% of strong tokens" for share in (10, 20, 40)]
    assert (figure.axes[0].get_xlabel(), figure.axes[0].get_ylabel()) == (
        "step of the solution",
        "steps by the strong model (%)",
    )
    assert legend(figure.axes[0]) == ["TRIM-Thr", "TRIM-Agg"]
    for axes, share in zip(figure.axes, (0.1, 0.2, 0.4), strict=True):
        lines = {line.get_label(): line for line in axes.get_lines()}
        assert set(lines) == {"TRIM-Thr", "TRIM-Agg"} - ({"TRIM-Agg"} if share > 0.2 else set())  # nothing near
        for line in lines.values():  # the first run
            assert list(line.get_xdata().round()) == [1, 2, 3, 4]  # the fifth step was reached too rarely
            np.testing.assert_allclose(line.get_ydata(), [10 * share * p for p in (1, 2, 3, 4)])
        bars = [bar for lines in axes.collections for bar in lines.get_segments()]
        assert len(bars) == 4 * len(axes.get_lines())


def test_the_observation_model_has_a_panel_an_author() -> None:
    observation = solved_pomdp().model.observation
    figure = observation_model.draw(observation, "arith")
    assert [axes.get_title() for axes in figure.axes] == ["drafts by the weak model", "steps by the strong model"]
    assert legend(figure.axes[0]) == [look.label for look in STATE_LOOKS]
    for axes, likelihoods in zip(figure.axes, (observation.draft, observation.strong), strict=True):
        drawn = [patch.get_data().values for patch in axes.patches]
        np.testing.assert_allclose(np.stack(drawn, 1), 100 * likelihoods)
    at = figure.axes[0].get_xticks()
    labels = [label.get_text() for label in figure.axes[0].get_xticklabels()]
    assert labels == [f"{observation.edges[int(i)]:.3g}" for i in at]


def test_a_strong_model_whose_scores_tell_nothing_has_no_panel() -> None:
    model = random_model(np.random.default_rng(5), strong_scores=False)
    assert len(observation_model.draw(model.observation, "arith").axes) == 1


def test_joint_observations_have_the_lowest_score_before_on_the_x_axis() -> None:
    observation = joint_observation_model()
    *panels, bar = joint_observation.draw(observation, "arith").axes
    assert [axes.get_title() for axes in panels] == [look.label for look in STATE_LOOKS]
    assert {axes.get_xlabel() for axes in panels} == {"lowest score before"}
    assert bar.get_ylabel() == "probability in the state (%)"
    for state, axes in enumerate(panels):
        drawn = axes.collections[0].get_array()
        for minimum, score in ((0.1, 0.5), (0.9, 0.1)):
            symbol = observation.draft_symbol(score, minimum)
            row, column = observation.index(score), observation.index(minimum)  # y, x
            assert drawn[row, column] == pytest.approx(100 * observation.draft[symbol, state])


def test_break_even_tokens_of_a_last_step_are_what_is_gained_over_the_cost() -> None:
    solved = solved_pomdp()
    transition, cost = solved.model.transition, solved.costs[1]
    found = pomdp_policy.break_even_tokens(solved, solved.kappas[1], 2, np.eye(3), final=True)
    np.testing.assert_allclose(found, [(transition.strong_if_right - 1) / cost, 0, transition.strong_if_wrong / cost])


def test_the_policy_regenerates_drafts_up_to_the_break_even() -> None:
    solved, rng = solved_pomdp(), np.random.default_rng(6)
    model, values, cost = solved.at(solved.kappas[1])
    observed = random_observed(rng, model, 200)
    first = np.zeros(200, dtype=int)  # at the first step the belief depends on one score alone
    observed = replace(observed, position=first, final=first > 0)
    prior = (
        model.transition.weak_accuracy[0] * np.array([1, 0, 0]) + (1 - model.transition.weak_accuracy[0]) * np.eye(3)[2]
    )
    joint = prior * model.observation.draft[model.observation.index(observed.score)]
    longest = pomdp_policy.break_even_tokens(
        solved, solved.kappas[1], 0, joint / joint.sum(1, keepdims=True), final=False
    )
    decided = PomdpPolicy(model, values, cost).decide(observed)
    assert 0 < decided.sum() < 200
    np.testing.assert_array_equal(decided, observed.draft_tokens < longest)


def test_beliefs_cover_the_simplex_evenly() -> None:
    beliefs = pomdp_policy.simplex(4)
    assert len(np.unique(beliefs, axis=0)) == len(beliefs) == 15
    np.testing.assert_allclose(beliefs.sum(1), 1)
    assert {tuple(corner) for corner in np.eye(3)} <= {tuple(belief) for belief in beliefs}


def test_half_of_all_solutions_are_no_longer_than_the_median() -> None:
    transition = replace(solved_pomdp().model.transition, hazard=np.array([0.0, 0.4, 0.3, 1.0]))
    assert pomdp_policy.median_length(transition) == 3  # 1, 0.6, 0.42 go on


def test_pomdp_policy_has_a_row_a_kappa_and_ends_with_the_last_step() -> None:
    figure = pomdp_policy.draw(solved_pomdp(), "arith")
    panels = figure.axes[:9]
    assert [axes.get_title() for axes in panels[:3]] == [
        title for title in (axes.get_title() for axes in panels) if title
    ]
    assert panels[0].get_title() == "step 1, not the last"
    assert panels[2].get_title().endswith(", the last")
    kappas = [text.get_text() for axes in panels for text in axes.texts if text.get_text().startswith("kappa")]
    assert kappas == ["kappa 0.1", "kappa 1", "kappa 5"]
    corners = [text.get_text().strip() for text in panels[0].texts]
    assert corners[:3] == ["S0", "S1", "S2"]
    assert list(figure.axes[9].get_yticks()) == [0, 3, 9]


def test_learning_curves_mark_the_snapshot_that_was_kept() -> None:
    agg, seq = learning_curves.draw(learning_table(), "arith").axes
    assert [axes.get_title() for axes in (agg, seq)] == ["TRIM-Agg,\nper kappa", "TRIM-Seq"]
    assert [text.get_text() for text in agg.texts] == ["0.1", "0.2"]  # kappas
    assert not seq.texts
    curves = [line for line in seq.get_lines() if len(line.get_xdata()) > 1]
    dots = [line for line in seq.get_lines() if len(line.get_xdata()) == 1]
    np.testing.assert_allclose([line.get_ydata() for line in curves], [[-0.5, 0.3, 0.2], [-0.5, 0.4, 0.2]])
    np.testing.assert_allclose(curves[0].get_xdata(), [0, 1, 2])  # thousands
    assert [(dot.get_xdata()[0], dot.get_ydata()[0]) for dot in dots] == [(1, 0.3), (1, 0.4)]
    low, high = seq.get_ylim()
    assert -0.5 < low < 0.2  # what an untrained policy is worth is left out
    assert high > 0.5


def test_learning_of_a_run_is_read_with_its_name(tmp_path: Path) -> None:
    folder = tmp_path / "trim-seq" / "arith" / "conditioned.2"
    folder.mkdir(parents=True)
    (folder / "policy.json").write_text('{"router": "trim-seq"}')
    (folder / "learning.csv").write_text("kappa,timesteps,dev_return\n,0,-0.5\n,100,0.25\n")
    run = learning_curves.read_run(folder)
    assert run[["router", "variant", "run"]].drop_duplicates().to_numpy().tolist() == [["trim-seq", "conditioned", 2]]
    assert run["kappa"].isna().all()
    assert run["dev_return"].tolist() == [-0.5, 0.25]


def test_the_lowest_score_before_is_of_the_weak_models_own_solution() -> None:
    drafts = decision_map.with_lowest_before(scored_rollouts())
    assert set(drafts["behaviour"]) == {"weak-only"}
    lowest = {name: part["lowest_before"].tolist() for name, part in drafts.groupby("problem_id")}
    np.testing.assert_array_equal(lowest["a"], [np.nan, 0.9, 0.2, 0.2])
    np.testing.assert_array_equal(lowest["b"], [np.nan, 0.5, 0.5])


@pytest.mark.parametrize("position", [1, 3])
def test_a_decision_map_asks_the_policy(position: int) -> None:
    scores, tokens = np.array([0.1, 0.5, 0.7]), np.array([1.0, 4.0, 9.0])
    found = decision_map.longest_regenerated(linear_policy(0.1), position, scores, tokens)
    expected = [[sum(s + m / 2 + 0.1 * t < 1 for t in tokens) for s in scores] for m in scores]
    assert found.tolist() == expected
    assert len({count for row in found.tolist() for count in row}) > 1


def test_decision_map_has_a_row_a_kappa_and_a_column_a_step() -> None:
    policies = [linear_policy(kappa) for kappa in (0.01, 0.1)]
    figure = decision_map.draw(policies, scored_rollouts(), "arith")
    *panels, bar = figure.axes
    assert [axes.get_title() for axes in panels if axes.get_title()] == ["step 2", "step 3", "step 4"]
    assert [axes.get_ylabel().split("\n")[0] for axes in panels if axes.get_ylabel()] == ["kappa 0.01", "kappa 0.1"]
    labels = [label.get_text() for label in bar.get_yticklabels()]
    assert labels == ["none", "4", "6", "8"]  # short, usual and long drafts
    _, dots = panels[0].collections
    np.testing.assert_allclose(np.sort(dots.get_offsets(), axis=0), [[0.2, 0.5], [0.8, 0.9]])


def test_reliability_has_a_column_a_prm() -> None:
    figure = prm_reliability.draw(*prm_tables())
    above, below = figure.axes[:2], figure.axes[2:]
    assert [axes.get_title() for axes in above] == ["PRM “verifier”", "PRM “classifier”"]
    assert above[0].get_ylabel() == "share of steps that are right"
    assert [axes.get_xlabel() for axes in below] == ["PRM score"] * 2
    assert above[0].get_legend().get_title().get_text() == "AUC, ECE"
    assert legend(above[0]) == ["0.900, 0.000", "0.910, 0.010"]
    assert legend(above[1]) == ["0.920, 0.020", "0.930, 0.030"]
    diagonal, first, _ = above[0].get_lines()
    assert list(diagonal.get_ydata()) == [0, 1]
    np.testing.assert_allclose(first.get_ydata(), [0.04, 0.25, 0.81])
    assert legend(below[0]) == ["right steps", "wrong steps", "arith", "arith-hard"]
    right, wrong = (patch.get_data() for patch in below[1].patches)
    assert list(right.values) == [50] * 4  # both datasets together
    assert list(wrong.values) == [10] * 4
    assert list(right.edges) == [0, 0.25, 0.5, 0.75, 1]


def test_the_oracle_lies_between_its_two_orders() -> None:
    figure = oracle_region.draw(query_curves(), ["arith", "other"], "arith")
    assert [axes.get_title() for axes in figure.axes] == ["arith", "other"]
    assert figure.axes[0].get_ylabel() == "accuracy"
    assert legend(figure.axes[0]) == ["query-level oracle", "TRIM-Thr", "random query"]
    (region,) = figure.axes[1].patches
    outline = [[0, 0.4], [24, 0.7], [48, 1.05], [48, 1.05], [40, 0.7]]  # up cheapest first, down dearest first
    np.testing.assert_allclose(region.get_xy()[:5], outline)


def test_the_best_query_level_baselines_are_named_and_the_others_are_grey() -> None:
    left, right = stepwise_vs_query.draw(query_curves(), main_table(), "arith", "arith").axes
    names = ["TRIM-Thr", "TRIM-Agg", "AutoMix-PRM", "MF", "BERT"]
    assert legend(left) == ["other query-level", *names, "random query"]  # SW has no gain
    lines = {line.get_label(): line for line in left.get_lines()}
    np.testing.assert_allclose(lines["other query-level"].get_xydata(), [[16, 0.44], [48, 0.68]])
    assert [label.get_text() for label in right.get_yticklabels()] == names
    points = [line.get_xydata()[0] for line in right.get_lines() if len(line.get_xdata()) == 1]
    np.testing.assert_allclose(points, [[2, 0], [3, 1], [0.4, 2], [0.3, 3], [0.1, 4]])
    np.testing.assert_allclose(right.collections[1].get_segments()[0][:, 0], [2.9, 3.1])
    assert right.get_xlabel() == "ΔIBC (0: random mixing of problems)"


def test_transferred_routers_are_broken_lines() -> None:
    curves = pd.concat([curve_table(), curve_table().assign(trained_on="other")])
    figure = transfer_curves.draw(curves, ["arith", "other"], ["arith", "other"])
    assert [axes.get_title() for axes in figure.axes[:2]] == ["TRIM-Thr", "TRIM-Agg"]
    assert [axes.get_ylabel() for axes in figure.axes[::2]] == ["on arith\naccuracy", "on other\naccuracy"]
    assert {axes.get_xlabel() for axes in figure.axes[2:]} == {"strong share (%)"}
    for dataset, axes in zip(("arith", "arith", "other", "other"), figure.axes, strict=True):
        styles = {line.get_label(): line.get_linestyle() for line in axes.get_lines()}
        assert styles == ({"arith": "-", "other": ":"} if dataset == "arith" else {"arith": "--", "other": "-"})
        assert len(axes.collections) == 1  # the band at home


def test_the_matrix_frames_home() -> None:
    *panels, bar = generalization_matrix.draw(generalization_table()).axes
    assert [axes.get_title() for axes in panels] == ["trained on a", "trained on b"]
    assert [label.get_text() for label in panels[0].get_yticklabels()] == ["TRIM-Thr", "BERT"]
    assert [label.get_text() for label in panels[1].get_xticklabels()] == ["a", "b", "c"]
    assert bar.get_ylabel() == "ΔIBC"
    cells = [[text.get_text() for text in axes.texts] for axes in panels]
    assert cells[0] == ["1.00 ±0.10"] * 3 + ["2.00 ±0.10"] * 2  # of the first run; the last cell is empty
    assert cells[1] == ["0.50 ±0.10"] * 3 + ["1.50 ±0.10"] * 2
    frames = [axes.patches[0] for axes in panels]
    assert [(frame.get_x(), frame.get_height()) for frame in frames] == [(0, 2), (1, 2)]


def test_prm_quality_is_laid_in_logits() -> None:
    gain, price = prm_quality_routing.draw(prm_routing_table(), "arith").axes
    assert gain.get_xscale() == price.get_xscale() == "logit"
    assert (gain.get_ylabel(), price.get_ylabel()) == ("ΔIBC", "CPT80 (strong share, %)")
    assert [label.get_text() for label in gain.get_xticklabels()] == ["bad, 0.700", "usual, 0.900", "good, 0.990"]
    assert legend(gain) == ["TRIM-Thr", "TRIM-POMDP"]  # no weak model, and nothing that was fitted with one PRM alone
    threshold, pomdp = gain.get_lines()
    np.testing.assert_allclose(threshold.get_ydata(), [1, 2, 3])
    np.testing.assert_allclose(pomdp.get_ydata(), [1.5, 2.5, 3.5])
    assert (threshold.get_xdata() < [0.7, 0.9, 0.99]).all()
    assert (pomdp.get_xdata() > [0.7, 0.9, 0.99]).all()
    np.testing.assert_allclose(price.get_lines()[0].get_ydata(), [55, 50.5])  # not reached with the worst


def test_ablations_fill_what_is_significant() -> None:
    (axes,) = ablations.draw(ablation_table()).axes
    assert [label.get_text() for label in axes.get_yticklabels()] == [
        "TRIM-Thr \N{MINUS SIGN} one-step takeover",
        "TRIM-Thr \N{MINUS SIGN} with the PRM that routes (PRM good)",
        "TRIM-Thr \N{MINUS SIGN} with the PRM that routes (PRM bad)",
    ]
    assert [text.get_text() for text in axes.texts] == ["What does returning gain?", "What does this PRM change?"]
    assert legend(axes) == ["on arith", "on other"]
    points = [line for line in axes.get_lines() if len(line.get_xdata()) == 1]
    assert [point.get_xdata()[0] for point in points] == [1.5, 0.05, -0.5, -0.7]
    filled = [point.get_markerfacecolor() != "white" for point in points]
    assert filled == [True, False, True, True]
    np.testing.assert_allclose(axes.collections[0].get_segments()[0][:, 0], [1.4, 1.6])


def test_budgets_show_the_best_query_level_baseline() -> None:
    figure = budgeted.draw(budget_table(), ["arith", "other"], "arith")
    axes = figure.axes[1]
    assert [panel.get_title() for panel in figure.axes] == ["arith: fixed budgets", "other: fixed budgets"]
    assert (axes.get_xlabel(), figure.axes[0].get_ylabel()) == ("budget (% of strong tokens)", "gap recovered (PGR, %)")
    assert legend(axes) == ["TRIM-Thr", "one-step takeover", "MF", "random query"]
    assert [label.get_text() for label in axes.get_xticklabels()] == ["10", "20"]
    for line, factor in zip(axes.get_lines(), (3, 1.5, 1.2), strict=True):
        np.testing.assert_allclose(dict(zip(line.get_xdata().round(), line.get_ydata(), strict=True))[1], 20 * factor)


def test_interventions_stack_up_to_all_that_are_solved() -> None:
    figure = interventions.draw(intervention_table(), ["arith"], "arith")
    (axes,) = figure.axes
    names = ["TRIM-Thr, 10%", "TRIM-POMDP, 10%", "TRIM-Thr, 20%", "TRIM-POMDP, 20%"]
    assert [label.get_text() for label in axes.get_yticklabels()] == names
    assert legend(axes) == ["1", "2", "3", ">3"]
    ends = [[bar.get_x() + bar.get_width() for bar in bars] for bars in axes.containers]
    assert ends == [[1, 0, 1, 1], [3, 0, 3, 3], [6, 0, 6, 6], [10, 0, 10, 10]]


def test_tables_without_a_single_gain_are_drawn() -> None:
    empty = {name: np.nan for end in ("", "_lo", "_hi") for name in (f"delta_ibc{end}", f"cpt80{end}", f"pgr{end}")}
    assert stepwise_vs_query.draw(query_curves(), main_table().assign(**empty), "arith", "arith")
    assert not generalization_matrix.draw(generalization_table().assign(**empty)).axes[0].texts
    assert not prm_quality_routing.draw(prm_routing_table().assign(**empty), "arith").axes[0].get_lines()
    assert not ablations.draw(ablation_table().assign(difference=np.nan)).axes[0].texts
    assert budgeted.draw(budget_table().assign(**empty), ["arith"], "arith")
    assert interventions.draw(intervention_table()[:0], ["arith"], "arith")


def test_an_unknown_variant_is_an_error_that_names_the_known_ones() -> None:
    with pytest.raises(InputError, match="'trim-thr' has no variant 'unheard-of'; it has default, hull, per-token"):
        look_of("trim-thr", "unheard-of")
    with pytest.raises(InputError, match="there is no router 'unheard-of'; there are weak-only, .*best-route"):
        look_of("unheard-of", "default")


@pytest.mark.parametrize("name", DRAWINGS)
def test_print_is_large_enough_to_read(name: str) -> None:
    figure = DRAWINGS[name]()
    figure.canvas.draw()
    assert figure.get_figwidth() <= PAGE_INCHES
    texts = figure.findobj(lambda artist: isinstance(artist, Text) and artist.get_visible() and artist.get_text())
    assert min(text.get_fontsize() for text in texts) >= SMALL


def test_claims_have_a_panel_each_and_a_line_a_statement() -> None:
    figure = claims.draw(claims_table())
    panels = {axes.get_title(loc="right"): axes for axes in figure.axes}
    assert list(panels) == ["Takeover (ΔIBC)", "Gap", "Noise"]
    takeover, gap, noise = panels.values()
    names = [[label.get_text() for label in axes.get_yticklabels()] for axes in panels.values()]
    assert names == [
        ["TRIM-Thr: arith", "TRIM-Thr: arith-hard"],
        ["all that look ahead: arith"],
        ["TRIM-Agg: one minus two"],
    ]
    assert [label.get_fontweight() for label in takeover.get_yticklabels()] == ["bold", "normal"]
    assert takeover.get_ylim()[0] > takeover.get_ylim()[1]  # the first statement on top
    bar, *drawn = takeover.get_lines()
    assert list(bar.get_xdata()) == [0, 0]
    assert [list(line.get_xdata()) for line in drawn] == [[3.5], [1, 3], [2], [-1, 0.2], [0.2]]  # no end, no line
    assert [line.get_marker() for line in gap.get_lines()] == ["None", "|", "None", "X"]
    assert [list(line.get_xdata()) for line in gap.get_lines()] == [[95, 95], [100], [60, 80], [70]]
    assert not noise.get_lines()
    assert [text.get_text() for text in noise.texts] == ["not tested"]


def test_verdicts_survive_greyscale() -> None:
    assert len({look.marker for look in claims.VERDICT_LOOKS.values()}) == len(claims.VERDICT_LOOKS)


def test_panels_of_claims_stand_in_two_even_columns() -> None:
    panels = [(str(i), claims_table().head(rows)) for i, rows in enumerate((4, 1, 1, 2))]
    assert [[title for title, _ in column] for column in claims.in_columns(panels)] == [["0", "1"], ["2", "3"]]
    assert claims.in_columns(panels[:1]) == [panels[:1]]


@pytest.mark.parametrize("name", DRAWINGS)
def test_the_same_numbers_give_the_same_bytes(tmp_path: Path, name: str) -> None:
    written = []
    for attempt in ("first", "second"):
        paths = [tmp_path / attempt / f"{name}.{kind}" for kind in ("pdf", "png")]
        save(DRAWINGS[name](), paths, ORIGIN)
        written.append([path.read_bytes() for path in paths])
    assert written[0] == written[1]
    pdf, png = written[0]
    assert (pdf[:5], png[:8]) == (b"%PDF-", b"\x89PNG\r\n\x1a\n")
    assert b"config 0123456789ab, code 0.1+abc" in png
    assert b"CreationDate" not in pdf
    assert plt.get_fignums() == []
    assert {path.name for path in (tmp_path / "first").iterdir()} == {f"{name}.pdf", f"{name}.png"}
