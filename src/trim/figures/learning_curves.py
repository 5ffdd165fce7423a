"""What a learned router is worth on dev while it trains, a panel a router and variant."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from trim.figures.accuracy_vs_cost import of_router
from trim.figures.style import PAGE_INCHES, SMALL, begin
from trim.files import read_csv, read_json
from trim.names import look_of, names
from trim.routers.learned.disk import DESCRIPTION

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

STYLES = ("-", "--", "-.", ":")


def read_run(folder: Path) -> pd.DataFrame:
    """Read the looks at dev of one training run, whose folder is called variant.run."""
    router = read_json(folder / DESCRIPTION, whole=folder)["router"]
    variant, _, run = folder.name.rpartition(".")
    return read_csv(folder / "learning.csv", whole=folder).assign(router=router, variant=variant, run=int(run))


def draw_fitted(runs: Sequence[Path], trained_on: str) -> Figure:
    """Draw the training runs on one dataset, from their folders."""
    import pandas as pd

    return draw(pd.concat([read_run(folder) for folder in runs], ignore_index=True), trained_on)


def draw(learning: pd.DataFrame, trained_on: str) -> Figure:
    """Draw the return on dev against the decisions learned from, and mark the snapshots that were kept.

    Parameters
    ----------
    learning
        The rows of every run; kappa is empty where one policy serves all, whose return is a mean over kappas.
    """
    palette = begin()
    from matplotlib import pyplot as plt

    keys = [key for key in names() if len(of_router(learning, key))]
    height = 0.42 * PAGE_INCHES
    figure, grid = plt.subplots(1, len(keys), figsize=(PAGE_INCHES, height), squeeze=False)
    for axes, key in zip(grid[0], keys, strict=True):
        look = look_of(*key)
        rows = of_router(learning, key)
        _draw_runs(axes, rows, palette[look.colour])
        trained = rows[rows["timesteps"] > 0]["dev_return"]
        margin = 0.1 * (trained.max() - trained.min()) + 0.001
        # An untrained policy is worth far less: its point lies below.
        axes.set_ylim(trained.min() - margin, trained.max() + margin)
        axes.set(title=look.label.replace(", ", ",\n"), xlabel="decisions (thousands)")
    figure.suptitle(f"Training on {trained_on}: a dot is the snapshot kept; each panel has its own scale", fontsize=8)
    grid[0, 0].set_ylabel("return on dev (right answers \N{MINUS SIGN} price)")
    return figure


def _draw_runs(axes: Axes, rows: pd.DataFrame, colour: tuple[float, float, float]) -> None:
    """Draw a line a policy: a style a run, and its kappa beside it where it has one."""
    for (run, kappa), looks in rows.groupby(["run", "kappa"], dropna=False):
        x, y = looks["timesteps"] / 1000, looks["dev_return"]
        axes.plot(x, y, STYLES[int(run) % len(STYLES)], color=colour, linewidth=0.9)
        best = y.idxmax()
        axes.plot(x[best], y[best], marker="o", color="0.15", markersize=3.5, linestyle="none")
        if not np.isnan(kappa):
            axes.margins(x=0.15)  # room for the kappa
            axes.annotate(
                f"{kappa:g}", (x.iloc[-1], y.iloc[-1]), xytext=(3, -2), textcoords="offset points", fontsize=SMALL
            )
