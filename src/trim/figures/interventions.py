"""By how many calls of the strong model problems are solved that the weak model alone does not (paper, Table 6)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from trim.evaluation.budgets import INTERVENTIONS
from trim.figures.accuracy_vs_cost import first_runs, rows_of
from trim.figures.style import begin, panels
from trim.names import leading_variants, look_of

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure


def draw(table: pd.DataFrame, datasets: Sequence[str], trained_on: str) -> Figure:
    """Draw a bar a router and budget, stacked by the number of calls, a panel a dataset.

    Parameters
    ----------
    table
        The rows of `interventions.csv`.
    """
    begin()
    import matplotlib as mpl

    shades = mpl.colormaps["cividis"](np.linspace(0.05, 0.95, len(INTERVENTIONS)))
    table = first_runs(table)
    keys, budgets = leading_variants(table), np.unique(table["wanted_share"])
    bars = [(budget, key) for budget in budgets for key in keys]
    places = [place + 0.6 * (place // max(len(keys), 1)) for place in range(len(bars))]
    figure, grid = panels(len(datasets), 1.4 + 0.17 * len(bars), sharey=True)
    for axes, dataset in zip(grid, datasets, strict=True):
        rows = rows_of(table, dataset, trained_on)
        solved = rows.set_index(["wanted_share", "router", "variant", "strong_calls"])["solved"]
        start = np.zeros(len(bars))
        for calls, shade in zip(INTERVENTIONS, shades, strict=True):
            width = np.array([solved.get((budget, *key, calls), 0) for budget, key in bars], dtype=float)
            axes.barh(places, width, left=start, color=shade, edgecolor="black", linewidth=0.4, label=calls)
            start += width
        axes.set(title=dataset, xlabel="problems solved")
        axes.grid(axis="y", visible=False)
    names = [f"{look_of(*key).label}, {budget:.0%}" for budget, key in bars]
    grid[0].set_yticks(places, names)
    grid[0].invert_yaxis()
    what = "Solved thanks to the router, not by the weak model alone, by budget and number of strong calls"
    figure.suptitle(what, fontsize=8)
    shown = grid[0].get_legend_handles_labels()
    figure.legend(*shown, title="calls of the strong model", loc="outside lower center", ncols=len(INTERVENTIONS))
    return figure
