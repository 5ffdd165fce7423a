"""How well each router does on each dataset, by the dataset that it was trained on (paper, Table 2)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from trim.figures.accuracy_vs_cost import first_runs
from trim.figures.style import PAGE_INCHES, SMALL, begin
from trim.names import in_order, look_of

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure


def draw(table: pd.DataFrame) -> Figure:
    """Draw a heat map of ΔIBC a training dataset, from the rows of `generalization.csv`; framed where both are one.

    A router's row is its first training run. An empty cell has no ΔIBC.
    """
    begin()
    from matplotlib import pyplot as plt
    from matplotlib.patches import Rectangle

    table = first_runs(table)
    keys, datasets = in_order(table), list(dict.fromkeys(table["dataset"]))
    sources = list(dict.fromkeys(table["trained_on"]))
    low, high = np.nanmin([*table["delta_ibc"], 0]), np.nanmax([*table["delta_ibc"], 1])
    figure, grid = plt.subplots(
        1, len(sources), figsize=(PAGE_INCHES, 0.9 + 0.18 * len(keys)), squeeze=False, sharey=True
    )
    for axes, source in zip(grid[0], sources, strict=True):
        cells = table[table["trained_on"] == source].set_index(["router", "variant", "dataset"])
        shown = np.array([[cells["delta_ibc"].get((*key, dataset), np.nan) for dataset in datasets] for key in keys])
        mesh = axes.pcolormesh(shown, vmin=low, vmax=high, cmap="cividis", edgecolor="white", linewidth=0.5)
        for (row, column), value in np.ndenumerate(shown):
            if np.isnan(value):
                continue
            found = cells.loc[(*keys[row], datasets[column])]
            half = (found["delta_ibc_hi"] - found["delta_ibc_lo"]) / 2
            colour = "white" if value < (low + high) / 2 else "black"
            text = f"{round(value, 2) + 0:.2f} ±{half:.2f}".replace("-", "\N{MINUS SIGN}")
            axes.text(column + 0.5, row + 0.5, text, ha="center", va="center", fontsize=SMALL, color=colour)
        if source in datasets:
            place = (datasets.index(source), 0)
            axes.add_patch(Rectangle(place, 1, len(keys), fill=False, edgecolor="black", linewidth=1.5, clip_on=False))
        axes.set(title=f"trained on {source}", xlabel="evaluated on")
        axes.set_xticks(np.arange(len(datasets)) + 0.5, datasets)
        axes.grid(False)
    grid[0, 0].set_yticks(np.arange(len(keys)) + 0.5, [look_of(*key).label for key in keys])
    grid[0, 0].invert_yaxis()
    figure.suptitle("ΔIBC ± half of its 95 % interval, by training dataset; framed: on itself", fontsize=8)
    figure.colorbar(mesh, ax=grid, label="ΔIBC", pad=0.01, aspect=30)
    return figure
