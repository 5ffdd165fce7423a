"""What routers decide at labelled prefixes, beyond the threshold: a panel a continuation."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from trim.figures.style import PAGE_INCHES, begin, panels
from trim.names import look_of

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

ASIDE = 1.09
"""Factor by which each router lies to the right of the one before."""

TITLES = {"weak": "the weak model goes on", "strong": "the strong model goes on"}


def draw(table: pd.DataFrame) -> Figure:
    """Draw `over_threshold` of the rows of `prefixes.csv`."""
    palette = begin()
    table = table[(table["router"] != "trim-thr") | (table["variant"] != "default")]
    routers = list(dict.fromkeys(zip(table["router"], table["variant"], strict=True)))
    figure, grid = panels(len(TITLES), 0.45 * PAGE_INCHES)
    for axes, (who, title) in zip(grid, TITLES.items(), strict=True):
        axes.axhline(0, color="0.45", linewidth=0.7)
        for place, (router, variant) in enumerate(routers):
            rows = table[(table["router"] == router) & (table["variant"] == variant) & (table["continuation"] == who)]
            x, look = rows["kappa"] * ASIDE ** (place - (len(routers) - 1) / 2), look_of(router, variant)
            axes.plot(x, rows["over_threshold"], label=look.label, **{**look.drawn(palette), "linestyle": "none"})
            axes.vlines(
                x, rows["over_threshold_lo"], rows["over_threshold_hi"], color=palette[look.colour], linewidth=0.9
            )
        kappas = np.unique(table["kappa"])
        axes.set_xscale("log")
        axes.set_xticks(kappas, [f"{kappa:g}" for kappa in kappas])
        axes.minorticks_off()
        axes.set(title=title, xlabel="kappa")
    grid[0].set_ylabel("gain over TRIM-Thr, per decision")
    handles, labels = grid[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=3)
    return figure
