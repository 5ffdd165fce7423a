"""Where along a solution the strong model is called: share of steps it writes, by position, router and budget."""

from __future__ import annotations

from typing import TYPE_CHECKING

from trim.figures.accuracy_vs_cost import rows_of
from trim.figures.style import LOOKS, PAGE_INCHES, begin, leading_variants

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

BUDGETS = (0.1, 0.2, 0.4)
FURTHEST = 0.05
"""Distance from a budget beyond which an operating point is not drawn for it."""

FEWEST_EPISODES = 20


def draw(calls: pd.DataFrame, curves: pd.DataFrame, dataset: str, trained_on: str) -> Figure:
    """Draw a panel a budget, and in it each TRIM router at its operating point nearest to that strong share."""
    palette = begin()
    from matplotlib import pyplot as plt
    from matplotlib.ticker import MaxNLocator

    calls, curves = (rows_of(table, dataset, trained_on) for table in (calls, curves))
    figure, panels = plt.subplots(1, len(BUDGETS), figsize=(PAGE_INCHES, 0.4 * PAGE_INCHES), sharex=True, sharey=True)
    for axes, budget in zip(panels, BUDGETS, strict=True):
        for key in leading_variants(curves):
            look, point = LOOKS[key], nearest_point(curves, key, budget)
            if abs(point["strong_share"] - budget) > FURTHEST:
                continue
            rows = calls[_same_policy(calls, point) & (calls["episodes"] >= FEWEST_EPISODES)]
            axes.plot(
                rows["position"] + 1,
                rows["strong"] / rows["episodes"],
                color=palette[look.colour],
                linestyle=look.line,
                marker=look.marker,
                markeredgewidth=0,
                label=look.label,
            )
        axes.set(xlabel="step of the solution", title=f"{dataset}, strong share {budget:.0%}")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    panels[0].set_ylabel("share written by the strong model")
    panels[0].set_ylim(-0.03, None)
    handles = {label: h for axes in panels for h, label in zip(*axes.get_legend_handles_labels(), strict=True)}
    figure.legend(handles.values(), handles, loc="outside lower center", ncols=4)
    return figure


def nearest_point(curves: pd.DataFrame, key: tuple[str, str], budget: float) -> pd.Series:
    """Return the operating point of a router's first training run whose strong share is nearest to a budget."""
    sweep = curves[(curves["router"] == key[0]) & (curves["variant"] == key[1])]
    first = sweep[sweep["seed"] == sweep["seed"].min()]
    return first.loc[(first["strong_share"] - budget).abs().idxmin()]


def _same_policy(calls: pd.DataFrame, point: pd.Series) -> pd.Series:
    names = ["router", "variant", "seed", "operating_point"]
    return (calls[names] == point[names]).all(axis=1)
