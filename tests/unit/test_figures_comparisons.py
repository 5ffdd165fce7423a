"""Figures that compare routers, PRMs and claims: what is drawn of small tables."""

import numpy as np
import pandas as pd
import pytest
from figure_inputs import (
    ablation_table,
    budget_table,
    claims_table,
    generalization_table,
    intervention_table,
    legend,
    main_table,
    outcome_tables,
    price_tables,
    prm_routing_table,
    prm_tables,
    query_curves,
)

from trim.figures import (
    ablations,
    budgeted,
    claims,
    generalization_matrix,
    interventions,
    prices,
    prm_outcomes,
    prm_quality_routing,
    prm_reliability,
    stepwise_vs_query,
)

pytestmark = pytest.mark.usefixtures("no_open_figures")


def test_reliability_has_a_column_a_prm() -> None:
    figure = prm_reliability.draw(*prm_tables())
    above, below = figure.axes[:2], figure.axes[2:]
    assert [axes.get_title() for axes in above] == ["PRM “verifier”", "PRM “classifier”"]
    assert above[0].get_ylabel() == "share of right steps"
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


def test_reliability_of_many_prms_stays_readable() -> None:
    one = [table[table["prm"] == "verifier"] for table in prm_tables()]
    names = ("verifier", "noisy", "classifier", "sharp", "first-token", "mean-token", "lowest-token")
    figure = prm_reliability.draw(*(pd.concat([table.assign(prm=name) for name in names]) for table in one))
    figure.canvas.draw()
    above = [axes for axes in figure.axes if axes.get_title()]
    assert [axes.get_title() for axes in above] == [f"PRM “{name}”" for name in names]
    titles = [axes.title.get_window_extent() for axes in above]
    assert not any(one.overlaps(other) for i, one in enumerate(titles) for other in titles[:i])
    for axes in above:
        legend, panel = axes.get_legend().get_window_extent(), axes.get_window_extent()
        assert panel.x0 <= legend.x0 and legend.x1 <= panel.x1


def test_prices_have_a_panel_each_with_the_best_baselines() -> None:
    figure = prices.draw(*price_tables(), "arith", "arith")
    assert [axes.get_title() for axes in figure.axes] == ["decoded", "api", "flops"]
    decoded, api, _ = ({line.get_label(): line for line in axes.get_lines()} for axes in figure.axes)
    assert {"TRIM-Thr", "TRIM-Agg", "AutoMix-PRM", "MF"} < set(decoded) and not {"BERT", "SW ranking"} & set(decoded)
    np.testing.assert_allclose(api["TRIM-Thr"].get_xdata(), 2 * decoded["TRIM-Thr"].get_xdata())
    assert decoded["TRIM-Thr"].get_xdata()[0] == pytest.approx(10)


def test_scores_and_answers_are_those_of_the_weak_model_on_one_dataset() -> None:
    figure = prm_outcomes.draw(*outcome_tables(), "arith", "arith")
    steps, last, bars = figure.axes
    assert [axes.get_xlabel() for axes in (steps, last)] == ["score of a step", "last score of a solution"]
    for axes, expected in ((steps, ([0.4, 0.9], [0.3, 0.8])), (last, ([0.16, 0.81], [0.06, 0.71]))):
        diagonal, *lines = axes.get_lines()
        assert list(diagonal.get_ydata()) == [0, 1]
        for line, right in zip(lines, expected, strict=True):
            np.testing.assert_allclose(line.get_ydata(), right)
    assert [label.get_text() for label in bars.get_xticklabels()] == ["step", "min", "mean", "product", "last"]
    tops = [bar.get_y() + bar.get_height() for bar in bars.patches]
    np.testing.assert_allclose(tops, [0.6, 0.65, 0.7, 0.75, 0.8, 0.5, 0.55, 0.6, 0.65, 0.7])
    assert legend(bars) == ["verifier", "noisy"]


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


def test_prms_stand_in_the_order_of_their_quality() -> None:
    gain, price = prm_quality_routing.draw(prm_routing_table(), "arith").axes
    assert (gain.get_ylabel(), price.get_ylabel()) == ("ΔIBC", "CPT80 (strong share, %)")
    assert [label.get_text() for label in gain.get_xticklabels()] == ["bad\n0.700", "usual\n0.900", "good\n0.990"]
    assert legend(gain) == ["TRIM-Thr", "TRIM-POMDP"]  # no weak model, and nothing that was fitted with one PRM alone
    threshold, pomdp = gain.get_lines()
    np.testing.assert_allclose(threshold.get_ydata(), [1, 2, 3])
    np.testing.assert_allclose(pomdp.get_ydata(), [1.5, 2.5, 3.5])
    np.testing.assert_allclose(threshold.get_xdata() + pomdp.get_xdata(), [0, 2, 4], atol=1e-12)
    assert (threshold.get_xdata() < pomdp.get_xdata()).all()
    np.testing.assert_allclose(price.get_lines()[0].get_ydata(), [55, 50.5])  # not reached with the worst
    assert gain.get_xlabel() == "step AUC of the PRM, up to the first error"
    other = prm_quality_routing.draw(prm_routing_table(), "gsm8k", "AUC of the lowest score").axes[1]
    assert other.get_xlabel() == "AUC of the lowest score"


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


def test_what_failed_training_left_is_faint_and_never_filled() -> None:
    (axes,) = ablations.draw(ablation_table().assign(trained="no")).axes
    points = [line for line in axes.get_lines() if len(line.get_xdata()) == 1]
    assert {(point.get_alpha(), point.get_markerfacecolor()) for point in points} == {(ablations.FAINT, "white")}


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


def test_claims_have_a_panel_each_and_a_line_a_statement() -> None:
    figure = claims.draw(claims_table())
    panels = {axes.get_title(loc="right"): axes for axes in figure.axes}
    assert list(panels) == ["Takeover (ΔIBC)", "Gap", "Noise"]
    takeover, gap, noise = panels.values()
    names = [[label.get_text() for label in axes.get_yticklabels()] for axes in panels.values()]
    assert names == [
        ["TRIM-Thr: arith", "TRIM-Thr: arith-hard"],
        ["all that look ahead: arith †"],
        ["TRIM-Agg: one minus two"],
    ]
    assert [label.get_fontweight() for label in takeover.get_yticklabels()] == ["bold", "normal"]
    assert takeover.get_ylim()[0] > takeover.get_ylim()[1]  # the first statement on top
    bar, *drawn = takeover.get_lines()
    assert list(bar.get_xdata()) == [0, 0]
    assert [list(line.get_xdata()) for line in drawn] == [[3.5], [1, 3], [2], [-1, 0.2], [0.2]]  # no end, no line
    assert [line.get_marker() for line in gap.get_lines()] == ["None", "|", "None", "X"]
    assert [list(line.get_xdata()) for line in gap.get_lines()] == [[95, 95], [100], [60, 80], [70]]
    for axes, bar_at in ((takeover, 0), (gap, 95)):
        low, high = axes.get_xlim()
        assert low < bar_at < high  # there is room to fail, and to hold
        assert low <= 0 <= high
    assert not noise.get_lines()
    assert [text.get_text() for text in noise.texts] == ["not tested"]


def test_the_label_of_a_line_says_what_differs_between_lines() -> None:
    places = ["arith", "arith with PRM noisy", "arith with PRM classifier than with PRM sharp", "one than on two"]
    rows = [{"method": "TRIM-Thr", "dataset": place} for place in places]
    assert [label.removeprefix("TRIM-Thr: ") for label in claims.labels(rows)] == [
        *("arith", "PRM noisy", "PRM classifier minus sharp", "one minus two")
    ]


def test_verdicts_survive_greyscale() -> None:
    assert len({look.marker for look in claims.VERDICT_LOOKS.values()}) == len(claims.VERDICT_LOOKS)


def test_panels_of_claims_stand_in_two_even_columns() -> None:
    panels = [(str(i), claims_table().head(rows)) for i, rows in enumerate((4, 1, 1, 2))]
    assert [[title for title, _ in column] for column in claims.in_columns(panels)] == [["0", "1"], ["2", "3"]]
    assert claims.in_columns(panels[:1]) == [panels[:1]]
