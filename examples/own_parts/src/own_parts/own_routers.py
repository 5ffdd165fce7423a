"""A figure: the routers of this package beside TRIM-Thr."""

from __future__ import annotations

from typing import TYPE_CHECKING

from trim.figures.spec import FigureSpec, tables

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

FIGURE = FigureSpec(
    name="own_routers",
    draw="own_parts.own_routers:draw",
    scope="evaluated",  # one for each dataset that is evaluated
    reads=tables("curves"),  # results/<experiment>/tables/curves.csv, which `draw` gets as a data frame
    category="Own parts",
    title="own routers beside TRIM-Thr",
    caption="Accuracy against strong tokens per problem. Bands and bars are bootstrap intervals over problems.",
)


def draw(curves: pd.DataFrame, dataset: str, trained_on: str) -> Figure:
    """Draw one panel."""
    from matplotlib import pyplot as plt

    from trim.figures.accuracy_vs_cost import draw_curves, rows_of
    from trim.figures.style import PAGE_INCHES, begin

    palette, keys = begin(), [(name, "default") for name in ("trim-thr", "by-position", "take-turns", "by-length")]
    figure, axes = plt.subplots(figsize=(0.6 * PAGE_INCHES, 0.5 * PAGE_INCHES))
    draw_curves(axes, rows_of(curves, dataset, trained_on), palette, keys, banded=keys[:1])
    axes.set(title=f"{dataset}: own routers", ylabel="accuracy")
    axes.legend()
    return figure
