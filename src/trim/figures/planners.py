"""What POUCT earns by its simulations, between the best threshold and the exact solution, a panel a kappa."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from trim.figures.style import PAGE_INCHES, begin, panels
from trim.names import Look

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

LOOKS = {
    "random": Look("POUCT, random rollouts", 3, "o", "-"),
    "threshold": Look("POUCT, threshold rollouts", 0, "s", "-."),
}
ASIDE = 1.06
"""Factor by which the second of two planners lies to the right of the first."""


def draw(table: pd.DataFrame) -> Figure:
    """Draw the rows of `planners.csv`."""
    palette = begin()
    kappas = np.unique(table["kappa"])
    figure, grid = panels(len(kappas), 0.42 * PAGE_INCHES)
    for axes, kappa in zip(grid, kappas, strict=True):
        rows = table[table["kappa"] == kappa]
        exact, threshold = (rows[rows["planner"] == name].iloc[0] for name in ("exact", "threshold"))
        axes.axhspan(exact["value_lo"], exact["value_hi"], color="0.6", linewidth=0)
        axes.axhline(exact["value"], color="black", linewidth=0.9, label="exact solution")
        axes.axhline(threshold["value"], color="0.35", linewidth=0.9, linestyle="--", label="best threshold")
        for place, name in enumerate(name for name in LOOKS if name in set(rows["rollouts"])):
            points = rows[rows["rollouts"] == name].sort_values("simulations")
            x, look = points["simulations"] * ASIDE**place, LOOKS[name]
            axes.plot(x, points["value"], label=look.label, **look.drawn(palette))
            axes.vlines(x, points["value_lo"], points["value_hi"], color=palette[look.colour], linewidth=0.9)
        simulations = np.unique(rows["simulations"].dropna()).astype(int)
        axes.set_xscale("log")
        axes.set_xticks(simulations, [f"{count:,}" for count in simulations])
        axes.minorticks_off()
        axes.set(title=f"kappa = {kappa:.2g}", xlabel="simulations for each decision")
    grid[0].set_ylabel("value in the POMDP")
    figure.legend(*grid[0].get_legend_handles_labels(), loc="outside lower center", ncols=4)
    return figure
