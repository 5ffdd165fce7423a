"""Accuracy against strong tokens: controls of TRIM-Thr, and all variants of the routers that look ahead."""

from __future__ import annotations

from typing import TYPE_CHECKING

from trim.figures.accuracy_vs_cost import draw_curves, rows_of
from trim.figures.style import DRAWN_SHARE, PAGE_INCHES, begin
from trim.names import THR, THRESHOLD, Key, look_ahead, names, routers_of

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure


def questions() -> dict[str, list[Key]]:
    """Return what each panel shows: TRIM-Thr, and what stands against it or looks further."""
    controls, ahead = (THR, *routers_of("control")), (*look_ahead(), *routers_of("own"))
    return {
        "controls of TRIM-Thr": [key for key in names() if key[0] in controls],
        "routers that look ahead": [THRESHOLD, *(key for key in names() if key[0] in ahead)],
    }


def draw(curves: pd.DataFrame, dataset: str, trained_on: str) -> Figure:
    """Draw a panel a question, of routers trained on one dataset, from the rows of `curves.csv`."""
    palette = begin()
    from matplotlib import pyplot as plt

    rows = rows_of(curves, dataset, trained_on)
    panels = questions()
    figure, grid = plt.subplots(1, len(panels), figsize=(PAGE_INCHES, 0.58 * PAGE_INCHES), sharey=True)
    for axes, (title, keys) in zip(grid, panels.items(), strict=True):
        draw_curves(axes, rows, palette, keys, banded=[THRESHOLD])
        axes.set(title=f"{dataset}: {title}", xlim=(0, DRAWN_SHARE * axes.get_xlim()[1]))
        axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.16), ncols=2, columnspacing=1.2)
    grid[0].set_ylabel("accuracy")
    return figure
