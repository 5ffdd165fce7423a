"""What a better PRM is worth to each router: ΔIBC and CPT80 against the quality of the scores."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from trim.figures.accuracy_vs_cost import of_router
from trim.figures.style import PAGE_INCHES, begin
from trim.names import in_order, look_of

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

PANELS = (
    ("delta_ibc", 1, "ΔIBC", "gain per strong token"),
    ("cpt80", 100, "CPT80 (strong share, %)", "price of 80 % of the gap, less is better"),
)
SPREAD = 0.06
"""How far apart, in logits, the routers of one PRM lie, so that their intervals do not hide each other."""

NEAR = 0.03
"""Share of the axis below which two PRMs have one tick."""

LIMITS = 0.001, 0.9999
"""AUCs that a logit can show."""


def draw(table: pd.DataFrame, dataset: str, measure_of: str = "step AUC of the PRM, up to the first error") -> Figure:
    """Draw a line a router, from the rows of `prm_routing.csv`; a level that a sweep does not reach is left out.

    AUCs are laid evenly in their logits: near 1 every halving of what is missing counts the same. `measure_of` says
    what they are of.
    """
    palette = begin()
    from matplotlib import pyplot as plt

    table = table.dropna(subset=["auc", "delta_ibc"])
    table = table[table["seed"] == table["seed"].min()]
    table = table.assign(auc=table["auc"].clip(*LIMITS))
    fitted = table.groupby(["router", "variant"])["prm"].transform("nunique")
    table = table[fitted >= min(2, fitted.max())]  # not what was fitted with the PRM of the main experiment alone
    keys, prms = in_order(table), table.drop_duplicates("prm").sort_values("auc")
    figure, grid = plt.subplots(1, len(PANELS), figsize=(PAGE_INCHES, 0.48 * PAGE_INCHES), sharex=True)
    for axes, (measure, scale, label, title) in zip(grid, PANELS, strict=True):
        for place, key in enumerate(keys):
            look = look_of(*key)
            rows = of_router(table, key).dropna(subset=[measure])
            rows = rows.sort_values("auc")
            odds = rows["auc"] / (1 - rows["auc"]) * np.exp(SPREAD * (place - (len(keys) - 1) / 2))
            x = odds / (1 + odds)
            axes.plot(x, scale * rows[measure], label=look.label, **look.drawn(palette))
            low, high = rows[f"{measure}_lo"], rows[f"{measure}_hi"].fillna(rows[measure])
            axes.vlines(x, scale * low, scale * high, color=palette[look.colour], linewidth=0.8)
        axes.set(xscale="logit", xlabel=measure_of, ylabel=label)
        axes.set(title=f"{dataset}: {title}")
        axes.set_xticks(*_ticks(prms), rotation=45, ha="right", rotation_mode="anchor")
        axes.minorticks_off()
    figure.legend(*grid[0].get_legend_handles_labels(), loc="outside lower center", ncols=5)
    return figure


def _ticks(prms: pd.DataFrame) -> tuple[list[float], list[str]]:
    """Return places and names of PRMs, shape (n,), whose `auc` rise; those that lie too near share a tick."""
    if prms.empty:
        return [], []
    logits = np.log(prms["auc"] / (1 - prms["auc"]))
    alone = logits.diff().fillna(np.inf) > NEAR * (logits.max() - logits.min())
    ticks = prms.assign(name=prms["prm"] + prms["auc"].map(", {:.3f}".format)).groupby(alone.cumsum())
    return ticks["auc"].mean().tolist(), ticks["name"].agg("\n".join).tolist()
