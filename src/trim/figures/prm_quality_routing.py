"""What a better PRM is worth to each router: ΔIBC and CPT80 against the quality of the scores."""

from __future__ import annotations

from typing import TYPE_CHECKING

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
SPREAD = 0.09
"""How far apart the routers of one PRM lie, so that their intervals do not hide each other; PRMs lie one apart."""


def draw(table: pd.DataFrame, dataset: str, measure_of: str = "step AUC of the PRM, up to the first error") -> Figure:
    """Draw a line a router, from the rows of `prm_routing.csv`; a level that a sweep does not reach is left out.

    PRMs stand one apart, the worst first; `measure_of` says what their AUCs are of.
    """
    palette = begin()
    from matplotlib import pyplot as plt

    table = table.dropna(subset=["auc", "delta_ibc"])
    table = table[table["seed"] == table["seed"].min()]
    fitted = table.groupby(["router", "variant"])["prm"].transform("nunique")
    table = table[fitted >= min(2, fitted.max())]  # not what was fitted with the PRM of the main experiment alone
    keys, prms = in_order(table), table.drop_duplicates("prm").sort_values("auc")
    places = {prm: place for place, prm in enumerate(prms["prm"])}
    figure, grid = plt.subplots(1, len(PANELS), figsize=(PAGE_INCHES, 0.48 * PAGE_INCHES), sharex=True)
    for axes, (measure, scale, label, title) in zip(grid, PANELS, strict=True):
        for number, key in enumerate(keys):
            look = look_of(*key)
            rows = of_router(table, key).dropna(subset=[measure])
            rows = rows.sort_values("auc")
            x = rows["prm"].map(places).astype(float) + SPREAD * (number - (len(keys) - 1) / 2)
            axes.plot(x, scale * rows[measure], label=look.label, **look.drawn(palette))
            low, high = rows[f"{measure}_lo"], rows[f"{measure}_hi"].fillna(rows[measure])
            axes.vlines(x, scale * low, scale * high, color=palette[look.colour], linewidth=0.8)
        axes.set(xlabel=measure_of, ylabel=label, title=f"{dataset}: {title}")
        named = [f"{prm}\n{auc:.3f}" for prm, auc in zip(prms["prm"], prms["auc"], strict=True)]
        axes.set_xticks(range(len(named)), named, rotation=45, ha="right", rotation_mode="anchor")
    figure.legend(*grid[0].get_legend_handles_labels(), loc="outside lower center", ncols=5)
    return figure
