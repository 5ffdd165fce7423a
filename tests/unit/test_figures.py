"""Figures of small tables: what is drawn, and that the same numbers give the same bytes."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from matplotlib import pyplot as plt
from matplotlib.figure import Figure
from pomdp_models import random_model, random_observed

from trim.figures import (
    accuracy_vs_cost,
    claims,
    controls,
    decision_map,
    joint_observation,
    learning_curves,
    observation_model,
    pomdp_policy,
    prm_reliability,
    strong_calls,
)
from trim.figures.style import LOOKS, STATE_LOOKS, save
from trim.routers.agg import AggPolicy, Layer
from trim.routers.features import AggregateEncoder, Scale
from trim.routers.pomdp.observation import ObservationModel, floored
from trim.routers.pomdp.policy import PomdpPolicy
from trim.routers.pomdp.solver import solve
from trim.routers.pomdp.storage import SolvedPomdp

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
            {"router": router, "variant": variant, "run": run, "kappa": kappa, "transitions": 1000 * i, "dev_return": y}
            for router, variant, run, kappa, returns in runs
            for i, y in enumerate(returns)
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
    assert (whole.get_title(), low.get_title()) == ("arith", "arith, low budgets")
    assert (whole.get_xlim(), low.get_xlim()) == ((0, 80), (0, pytest.approx(24)))
    assert whole.get_ylim() == low.get_ylim()
    shown = ["TRIM-Thr", "TRIM-Agg", "TRIM-Thr, hull", "random step", "first-error oracle"]  # no second variant
    assert legend(whole) == shown
    for axes in (whole, low):
        lines = {line.get_label(): line for line in axes.get_lines()}
        np.testing.assert_allclose(lines["TRIM-Thr"].get_xdata(), [8, 16, 24, 32, 40, 48])  # by cost
        np.testing.assert_allclose(lines["TRIM-Thr"].get_ydata(), [0.4, 0.5, 0.6, 0.7, 0.8, 0.9])
        np.testing.assert_allclose(lines["TRIM-Agg"].get_ydata(), [0.45, 0.55])
        np.testing.assert_allclose(lines["_TRIM-Agg"].get_ydata(), [0.45, 0.55])  # the second run: a line of its own
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


def test_the_share_axis_is_that_of_the_strong_model_alone() -> None:
    figure = accuracy_vs_cost.draw(curve_table(), "arith", "arith")
    figure.canvas.draw()
    for axes in figure.axes:
        low, high = axes.child_axes[0].get_xlim()
        assert (low, high) == pytest.approx(tuple(100 * x / 80 for x in axes.get_xlim()))


def test_controls_hold_what_the_main_figure_leaves_out() -> None:
    left, right = controls.draw(curve_table(), "arith", "arith").axes
    assert legend(left) == ["TRIM-Thr", "TRIM-Thr, hull", "one-step takeover", "random step"]
    assert legend(right) == ["TRIM-Thr", "TRIM-Agg", "TRIM-Agg, per kappa"]
    lines = {line.get_label(): line for line in right.get_lines()}
    np.testing.assert_allclose(lines["TRIM-Agg, per kappa"].get_ydata(), [0.43, 0.53])


def test_every_look_is_drawn_somewhere() -> None:
    in_main = {*accuracy_vs_cost.REFERENCES}
    assert {*in_main, *(key for keys in controls.PANELS.values() for key in keys)} == set(LOOKS)


def test_looks_survive_greyscale() -> None:
    assert len({(look.marker, look.line) for look in LOOKS.values()}) == len(LOOKS)


def test_strong_calls_draw_the_points_nearest_to_the_budgets() -> None:
    figure = strong_calls.draw(call_table(), curve_table(), "arith", "arith")
    assert [axes.get_title() for axes in figure.axes] == [f"arith, strong share {share}%" for share in (10, 20, 40)]
    assert (figure.axes[0].get_xlabel(), figure.axes[0].get_ylabel()) == (
        "step of the solution",
        "share written by the strong model",
    )
    assert legend(figure.axes[0]) == ["TRIM-Thr", "TRIM-Agg"]
    for axes, share in zip(figure.axes, (0.1, 0.2, 0.4), strict=True):
        lines = {line.get_label(): line for line in axes.get_lines()}
        assert set(lines) == {"TRIM-Thr", "TRIM-Agg"} - ({"TRIM-Agg"} if share > 0.2 else set())  # nothing near
        for line in lines.values():  # the first run
            assert list(line.get_xdata()) == [1, 2, 3, 4]  # the fifth step was reached too rarely
            np.testing.assert_allclose(line.get_ydata(), [10 * share * p / 100 for p in (1, 2, 3, 4)])


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
    decided = PomdpPolicy(model, values, cost).decide_all(observed)
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
    (folder / "learning.csv").write_text("kappa,transitions,dev_return\n,0,-0.5\n,100,0.25\n")
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
    assert legend(above[0]) == ["arith: AUC 0.900, ECE 0.000", "arith-hard: AUC 0.910, ECE 0.010"]
    assert legend(above[1]) == ["arith: AUC 0.920, ECE 0.020", "arith-hard: AUC 0.930, ECE 0.030"]
    diagonal, first, _ = above[0].get_lines()
    assert list(diagonal.get_ydata()) == [0, 1]
    np.testing.assert_allclose(first.get_ydata(), [0.04, 0.25, 0.81])
    assert legend(below[0]) == ["right steps", "wrong steps"]
    right, wrong = below[1].containers
    assert [bar.get_height() for bar in right] == [50] * 4  # both datasets together
    assert [bar.get_height() for bar in wrong] == [10] * 4
    assert [bar.get_x() for bar in right] == [0, 0.25, 0.5, 0.75]


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
