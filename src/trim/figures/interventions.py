"""By how many calls of the strong model problems are solved that the weak model alone does not (paper, Table 6)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from trim.figures.accuracy_vs_cost import rows_of
from trim.figures.style import LOOKS, begin, leading_variants, panels

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

CALLS = ("1", "2", "3", ">3")


def draw(table: pd.DataFrame, datasets: Sequence[str], trained_on: str) -> Figure:
    """Draw a bar a router and budget, stacked by the number of calls, a panel a dataset.

    Parameters
    ----------
    table
        The rows of `interventions.csv`.
    """
    begin()
    import matplotlib as mpl

    shades = mpl.colormaps["cividis"](np.linspace(0.05, 0.95, len(CALLS)))
    table = table[table["seed"] == table.groupby(["router", "variant"])["seed"].transform("min")]
    keys, budgets = leading_variants(table), np.unique(table["budget"])
    bars = [(budget, key) for budget in budgets for key in keys]
    places = [place + 0.6 * (place // max(len(keys), 1)) for place in range(len(bars))]
    figure, grid = panels(len(datasets), 0.7 + 0.15 * len(bars), sharey=True)
    for axes, dataset in zip(grid, datasets, strict=True):
        rows = rows_of(table, dataset, trained_on).set_index(["budget", "router", "variant", "calls"])["problems"]
        start = np.zeros(len(bars))
        for calls, shade in zip(CALLS, shades, strict=True):
            width = np.array([rows.get((budget, *key, calls), 0) for budget, key in bars], dtype=float)
            axes.barh(places, width, left=start, color=shade, edgecolor="black", linewidth=0.4, label=calls)
            start += width
        axes.set(title=f"{dataset}", xlabel="problems")
        axes.grid(axis="y", visible=False)
    names = [f"{LOOKS[key].label}, {budget:.0%}" for budget, key in bars]
    grid[0].set_yticks(places, names)
    grid[0].invert_yaxis()
    figure.suptitle(
        "Solved thanks to the router, not by the weak model alone, by budget and number of strong calls", fontsize=8
    )
    figure.legend(
        *grid[0].get_legend_handles_labels(),
        title="calls of the strong model",
        loc="outside lower center",
        ncols=len(CALLS),
    )
    return figure
