"""How much of the gap each router recovers at fixed budgets, a panel a dataset (paper, Tables 4 and 5)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from trim.figures.accuracy_vs_cost import first_runs, of_router, rows_of
from trim.figures.style import PAGE_INCHES, begin, panels
from trim.names import TAKEOVER, in_order, leading_variants, look_of, routers_of

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

SPREAD = 0.36
"""How far to the sides of a budget's middle its routers lie; the next budget is at 1."""


def draw(table: pd.DataFrame, datasets: Sequence[str], trained_on: str) -> Figure:
    """Draw the gap recovered (PGR) of the TRIM routers, a control and the best query-level baseline, with intervals.

    Parameters
    ----------
    table
        The rows of `budgeted.csv`.
    """
    palette = begin()
    figure, grid = panels(len(datasets), 0.45 * PAGE_INCHES, sharey=True)
    keys = [*leading_variants(table), *(key for key in in_order(table) if key == TAKEOVER), *best_query_level(table)]
    for axes, dataset in zip(grid, datasets, strict=True):
        rows = rows_of(table, dataset, trained_on)
        rows = first_runs(rows)
        budgets = np.unique(rows["strong_share"])
        places = np.arange(len(budgets))
        for key, shift in zip(keys, np.linspace(-SPREAD, SPREAD, len(keys)), strict=True):
            look = look_of(*key)
            points = of_router(rows, key)
            x = places[np.searchsorted(budgets, points["strong_share"])] + shift
            axes.plot(x, 100 * points["pgr"], label=look.label, **{**look.drawn(palette), "linestyle": "none"})
            axes.vlines(x, 100 * points["pgr_lo"], 100 * points["pgr_hi"], color=palette[look.colour], linewidth=0.9)
        axes.hlines(100 * budgets, places - 0.45, places + 0.45, color="0.45", linestyle=":", label="random query")
        axes.set(title=f"{dataset}: fixed budgets", xlabel="budget (% of strong tokens)")
        axes.set_xticks(places, [f"{100 * budget:g}" for budget in budgets])
        axes.set_xticks(places[1:] - 0.5, minor=True)
        axes.grid(axis="x", visible=False)
        axes.grid(axis="x", which="minor")
    grid[0].set_ylabel("gap recovered (PGR, %)")
    figure.legend(*grid[0].get_legend_handles_labels(), loc="outside lower center", ncols=4)
    return figure


def best_query_level(table: pd.DataFrame) -> list[tuple[str, str]]:
    """Return the query-level baseline that recovers most on average over budgets and datasets, if there is one."""
    means = table[table["router"].isin(routers_of("query"))].groupby(["router", "variant"])["pgr"].mean().dropna()
    return [] if means.empty else [means.idxmax()]
