"""Accuracy against strong tokens: controls of TRIM-Thr, and all variants of the routers that look ahead."""

from __future__ import annotations

from typing import TYPE_CHECKING

from trim.figures.accuracy_vs_cost import draw_curves, rows_of
from trim.figures.style import LOOKS, PAGE_INCHES, TRIM_ROUTERS, begin

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

REFERENCE = ("trim-thr", "default")
PANELS = {
    "controls of TRIM-Thr": (
        REFERENCE,
        ("trim-thr", "hull"),
        ("trim-thr", "per-token"),
        ("one-step-takeover", "default"),
        ("random-step", "default"),
        ("random-query", "default"),
    ),
    "variants that look ahead": (REFERENCE, *(key for key in LOOKS if key[0] in TRIM_ROUTERS[1:])),
}


def draw(curves: pd.DataFrame, dataset: str, trained_on: str) -> Figure:
    """Draw a panel a question, of routers trained on one dataset, from the rows of `curves.csv`."""
    palette = begin()
    from matplotlib import pyplot as plt

    rows = rows_of(curves, dataset, trained_on)
    figure, grid = plt.subplots(1, len(PANELS), figsize=(PAGE_INCHES, 0.52 * PAGE_INCHES), sharey=True)
    for axes, (title, keys) in zip(grid, PANELS.items(), strict=True):
        draw_curves(axes, rows, palette, keys, banded=[REFERENCE])
        axes.set_title(f"{dataset}: {title}")
        axes.legend(loc="lower right", bbox_to_anchor=(1, 0.12), frameon=True, edgecolor="none")
    grid[0].set_ylabel("accuracy")
    return figure
