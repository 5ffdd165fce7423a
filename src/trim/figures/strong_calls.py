"""Where along a solution the strong model is called: share of steps it writes, by position, router and budget."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from trim.evaluation.study import nearest
from trim.figures.accuracy_vs_cost import of_router, rows_of
from trim.figures.style import PAGE_INCHES, begin
from trim.names import leading_variants, look_of

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

BUDGETS = (0.1, 0.2, 0.4)
FEWEST_EPISODES = 20
SPREAD = 0.15
"""How far to the sides of a step its intervals lie, so that they do not hide each other."""

Z = 1.96
"""Standard errors on either side of a 95 % interval."""


def draw(calls: pd.DataFrame, curves: pd.DataFrame, dataset: str, trained_on: str) -> Figure:
    """Draw a panel a budget, and in it each TRIM router at its operating point nearest to that strong share."""
    palette = begin()
    from matplotlib import pyplot as plt
    from matplotlib.ticker import MaxNLocator

    calls, curves = (rows_of(table, dataset, trained_on) for table in (calls, curves))
    leading = leading_variants(curves)
    figure, panels = plt.subplots(1, len(BUDGETS), figsize=(PAGE_INCHES, 0.4 * PAGE_INCHES), sharex=True, sharey=True)
    for axes, budget in zip(panels, BUDGETS, strict=True):
        for key, shift in zip(leading, np.linspace(-SPREAD, SPREAD, len(leading)), strict=True):
            look, point = look_of(*key), nearest_point(curves, key, budget)
            if point is None:
                continue
            rows = calls[_same_policy(calls, point) & (calls["episodes"] >= FEWEST_EPISODES)]
            x, share = rows["position"] + 1 + shift, rows["strong"] / rows["episodes"]
            axes.plot(x, 100 * share, label=look.label, **look.drawn(palette))
            low, high = (100 * bound for bound in wilson_interval(rows["strong"], rows["episodes"]))
            axes.vlines(x, low, high, color=palette[look.colour], linewidth=0.7)
        axes.set(xlabel="step of the solution", title=f"{dataset}, {budget:.0%} of strong tokens")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    panels[0].set_ylabel("steps by the strong model (%)")
    panels[0].set_ylim(-3, None)
    handles = {label: h for axes in panels for h, label in zip(*axes.get_legend_handles_labels(), strict=True)}
    figure.legend(handles.values(), handles, loc="outside lower center", ncols=4)
    return figure


def nearest_point(curves: pd.DataFrame, key: tuple[str, str], budget: float) -> pd.Series | None:
    """Return the operating point of a router's first training run that stands for a budget, if one is near."""
    sweep = of_router(curves, key)
    first = sweep[sweep["seed"] == sweep["seed"].min()]
    at = nearest(first["strong_share"].to_numpy(float), budget)
    return None if at is None else first.iloc[at]


def wilson_interval(hits: pd.Series, trials: pd.Series) -> tuple[pd.Series, pd.Series]:
    """Return the 95 % Wilson score interval of a proportion."""
    centre = (hits + Z**2 / 2) / (trials + Z**2)
    half = Z / (trials + Z**2) * np.sqrt(hits * (trials - hits) / trials + Z**2 / 4)
    return (centre - half).clip(0), (centre + half).clip(upper=1)


def _same_policy(calls: pd.DataFrame, point: pd.Series) -> pd.Series:
    names = ["router", "variant", "seed", "operating_point"]
    return (calls[names] == point[names]).all(axis=1)
