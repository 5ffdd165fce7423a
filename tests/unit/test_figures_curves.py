"""Figures of accuracy against cost: what is drawn of small tables."""

import numpy as np
import pandas as pd
import pytest
from figure_inputs import call_table, curve_table, legend, main_table, query_curves

from trim.errors import InputError
from trim.figures import (
    accuracy_vs_cost,
    controls,
    oracle_region,
    stepwise_vs_query,
    strong_calls,
    transfer_curves,
)
from trim.names import END_POINTS, look_of, names, routers_of

pytestmark = pytest.mark.usefixtures("no_open_figures")


def test_accuracy_against_cost_draws_each_router_once() -> None:
    figure = accuracy_vs_cost.draw(curve_table(), "arith", "arith")
    whole, low = figure.axes
    assert (whole.get_xlabel(), whole.get_ylabel()) == ("strong tokens per problem", "accuracy")
    assert (whole.get_title(), low.get_title()) == ("arith: accuracy against cost", "arith: low budgets")
    assert (whole.get_xlim(), low.get_xlim()) == ((0, 80), (0, pytest.approx(24)))
    bottom, top = low.get_ylim()
    assert 0.25 < bottom < 0.3 and 0.6 < top < 0.7 < whole.get_ylim()[1]  # at a share of 30 % the best is at 60 %
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


def test_an_unknown_variant_is_an_error_that_names_the_known_ones() -> None:
    with pytest.raises(InputError, match="'trim-thr' has no variant 'unheard-of'; it has default, hull, per-token"):
        look_of("trim-thr", "unheard-of")
    with pytest.raises(InputError, match="there is no router 'unheard-of'; there are weak-only, .*best-route"):
        look_of("unheard-of", "default")
