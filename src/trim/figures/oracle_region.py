"""TRIM-Thr against all that a perfect query-level router could do, a panel a dataset (paper, Figure 2)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from trim.figures.accuracy_vs_cost import draw_curves, rows_of
from trim.figures.style import PAGE_INCHES, begin, panels
from trim.names import END_POINTS, RANDOM_QUERY, THRESHOLD, variants

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

ORACLE = "oracle-query"


def draw(curves: pd.DataFrame, datasets: Sequence[str], trained_on: str) -> Figure:
    """Draw TRIM-Thr and the region that the query-level oracle reaches, from the rows of `curves.csv`.

    The oracle sends only problems to the strong model that it alone solves: all orders of sending them lie between
    the cheapest first and the dearest first.
    """
    palette = begin()
    figure, grid = panels(len(datasets), 0.42 * PAGE_INCHES)
    for axes, dataset in zip(grid, datasets, strict=True):
        rows = rows_of(curves, dataset, trained_on)
        x, y = oracle_outline(rows)
        axes.fill(x, y, facecolor="0.88", edgecolor="0.55", hatch="////", linewidth=0.6, label="query-level oracle")
        draw_curves(axes, rows, palette, [THRESHOLD, (RANDOM_QUERY, "default")], banded=[THRESHOLD])
        axes.set_title(dataset)
    figure.suptitle(f"TRIM-Thr, fitted on {trained_on}, against perfect routing of whole problems", fontsize=8)
    grid[0].set_ylabel("accuracy")
    figure.legend(*grid[0].get_legend_handles_labels(), loc="outside lower center", ncols=3)
    return figure


def oracle_outline(rows: pd.DataFrame) -> tuple[list[float], list[float]]:
    """Return the outline of the oracle's region, in strong tokens and accuracy: up one order, and down the other."""
    weak = rows[rows["router"] == END_POINTS[0]].iloc[0]
    outline = [(0.0, float(weak["accuracy"]))]
    upwards, _ = variants(ORACLE)
    for order in variants(ORACLE):
        sweep = rows[(rows["router"] == ORACLE) & (rows["variant"] == order)]
        points = sweep.sort_values("strong_tokens", ascending=order == upwards)
        outline += list(points[["strong_tokens", "accuracy"]].itertuples(index=False, name=None))
    x, y = zip(*outline, strict=True)
    return list(x), list(y)
