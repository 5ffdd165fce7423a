"""Figures of small tables: what is drawn, and that the same numbers give the same bytes."""

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from matplotlib import pyplot as plt
from matplotlib.figure import Figure

from trim.figures import accuracy_vs_cost, prm_reliability, strong_calls
from trim.figures.style import LOOKS, save

ORIGIN = {"config_hash": "0123456789ab", "code": "0.1+abc"}


def curve_table() -> pd.DataFrame:
    """Curves of two datasets: end points, TRIM-Thr at six settings, its hull, random steps, the oracle."""
    rows = []
    for dataset, lift in (("arith", 0.0), ("other", 0.1)):
        points = [("weak-only", "default", 0.0, 0.0, 0.3), ("strong-only", "default", 1.0, 1.0, 0.9)]
        points += [("trim-thr", "default", i / 10, i / 10, 0.3 + 0.1 * i) for i in (4, 1, 6, 2, 3, 5)]
        points += [("trim-thr", "hull", i / 10, i / 10, 0.3 + 0.1 * i) for i in (1, 6)]
        points += [("random-step", "default", i / 10, i / 10, 0.3 + 0.06 * i) for i in (2, 5)]
        points += [("first-error-oracle", "default", 1.0, 0.3, 0.88)]
        for router, variant, setting, share, accuracy in points:
            value = accuracy + lift
            row = {"dataset": dataset, "trained_on": "arith", "router": router, "variant": variant}
            row |= {"operating_point": setting, "strong_share": share, "strong_tokens": 80 * share}
            rows.append({**row, "accuracy": value, "accuracy_lo": value - 0.02, "accuracy_hi": value + 0.02})
    return pd.DataFrame(rows)


def call_table() -> pd.DataFrame:
    rows = []
    for dataset in ("arith", "other"):
        for setting in range(1, 7):
            for position in range(5):
                row = {"dataset": dataset, "trained_on": "arith", "router": "trim-thr", "variant": "default"}
                reached = 100 if position < 4 else 19  # too few to draw
                row |= {"operating_point": setting / 10, "position": position, "episodes": reached}
                rows.append({**row, "strong": setting * (position + 1) if dataset == "arith" else 0})
    return pd.DataFrame(rows)


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


DRAWINGS: dict[str, Callable[[], Figure]] = {
    "accuracy_vs_cost": lambda: accuracy_vs_cost.draw(curve_table(), "arith", "arith"),
    "strong_calls": lambda: strong_calls.draw(call_table(), curve_table(), "arith", "arith"),
    "prm_reliability": lambda: prm_reliability.draw(*prm_tables()),
}


@pytest.fixture(autouse=True)
def _nothing_stays_open() -> Iterator[None]:
    yield
    plt.close("all")


def legend(axes: plt.Axes) -> list[str]:
    """Return the labels beside the axes, or below the figure."""
    found = axes.get_legend() or axes.figure.legends[0]
    return [text.get_text() for text in found.get_texts()]


def test_accuracy_against_cost_draws_every_router_of_the_dataset() -> None:
    (axes,) = accuracy_vs_cost.draw(curve_table(), "arith", "arith").axes
    assert (axes.get_xlabel(), axes.get_ylabel(), axes.get_title()) == (
        "strong tokens per problem",
        "accuracy",
        "arith",
    )
    assert legend(axes) == ["TRIM-Thr", "TRIM-Thr, hull", "random step", "first-error oracle"]
    lines = {line.get_label(): line for line in axes.get_lines()}
    np.testing.assert_allclose(lines["TRIM-Thr"].get_xdata(), [8, 16, 24, 32, 40, 48])  # by cost
    np.testing.assert_allclose(lines["TRIM-Thr"].get_ydata(), [0.4, 0.5, 0.6, 0.7, 0.8, 0.9])
    assert len({line.get_color() for name, line in lines.items() if name in legend(axes)}) == 4
    levels = [line.get_ydata()[0] for line in axes.get_lines() if line.get_label().startswith("_")][:2]
    assert levels == pytest.approx([0.3, 0.9])
    assert {text.get_text() for text in axes.texts} == {"weak only 30.0%", "strong only 90.0%"}
    (above,) = axes.child_axes
    assert above.get_xlabel() == "strong share (%)"
    bands = [band.get_paths()[0].vertices for band in axes.collections if hasattr(band, "get_paths")]
    assert any(np.isclose(band[:, 1].min(), 0.38) and np.isclose(band[:, 1].max(), 0.92) for band in bands)


def test_points_of_others_are_hollow_and_named() -> None:
    published = pd.DataFrame({"router": ["trim-thr", "trim-pomdp"], "strong_tokens": [10, 20], "accuracy": [0.5, 0.6]})
    (axes,) = accuracy_vs_cost.draw(curve_table(), "arith", "arith", published).axes
    lines = {line.get_label(): line for line in axes.get_lines()}
    assert {"TRIM-Thr, published", "TRIM-POMDP, published"} <= set(legend(axes))
    assert lines["TRIM-POMDP, published"].get_fillstyle() == "none"
    np.testing.assert_allclose(lines["TRIM-POMDP, published"].get_xydata(), [[20, 0.6]])


def test_the_share_axis_is_that_of_the_strong_model_alone() -> None:
    figure = accuracy_vs_cost.draw(curve_table(), "arith", "arith")
    figure.canvas.draw()
    (axes,) = figure.axes
    low, high = axes.child_axes[0].get_xlim()
    assert (low, high) == pytest.approx(tuple(100 * x / 80 for x in axes.get_xlim()))


def test_looks_survive_greyscale() -> None:
    assert len({(look.marker, look.line) for look in LOOKS.values()}) == len(LOOKS)


def test_strong_calls_draw_the_points_nearest_to_the_budgets() -> None:
    (axes,) = strong_calls.draw(call_table(), curve_table(), "arith", "arith").axes
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("step of the solution", "share written by the strong model")
    settings = (0.1, 0.2, 0.4, 0.6)
    assert sorted(legend(axes)) == [f"threshold {k:.2f} ({k:.0%} of tokens)" for k in settings]
    lines = {line.get_label(): line for line in axes.get_lines()}
    for setting in settings:
        line = lines[f"threshold {setting:.2f} ({setting:.0%} of tokens)"]
        assert list(line.get_xdata()) == [1, 2, 3, 4]  # the fifth step was reached too rarely
        np.testing.assert_allclose(line.get_ydata(), [10 * setting * p / 100 for p in (1, 2, 3, 4)])


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
