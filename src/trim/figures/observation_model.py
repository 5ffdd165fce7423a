"""How likely each PRM score is in each state of TRIM-POMDP: of drafts, and of steps by the strong model."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from trim.figures.style import PAGE_INCHES, STATE_LOOKS, begin
from trim.routers.pomdp.disk import load_solved
from trim.routers.pomdp.observation import ObservationModel

if TYPE_CHECKING:
    from matplotlib.figure import Figure

TICKS = 6


def draw_fitted(solved: Path, trained_on: str) -> Figure:
    """Draw what was fitted on one dataset, from its file."""
    return draw(load_solved(solved).model.observation, trained_on)


def draw(observation: ObservationModel, trained_on: str) -> Figure:
    """Draw the likelihoods of single scores, a panel an author.

    All bins are equally wide: fitted ones hold equally many scores, which pile up near 1.
    """
    palette = begin()
    from matplotlib import pyplot as plt

    bins = len(observation.edges) - 1
    authors = {"drafts by the weak model": observation.draft}
    if len(observation.strong) > 1:
        authors["steps by the strong model"] = observation.strong
    figure, grid = plt.subplots(
        1, len(authors), figsize=(PAGE_INCHES, 0.38 * PAGE_INCHES), squeeze=False, sharex=True, sharey=True
    )
    at = np.unique(np.linspace(0, bins, TICKS).round().astype(int))
    for axes, (author, likelihoods) in zip(grid[0], authors.items(), strict=True):
        for state, (label, colour, style) in enumerate(STATE_LOOKS):
            axes.stairs(
                100 * likelihoods[:, state],
                baseline=None,
                color=palette[colour],
                linestyle=style,
                linewidth=1.4,
                label=label,
            )
        axes.set(title=author, xlabel="PRM score, in bins that hold equally many", xlim=(0, bins))
        axes.set_xticks(at, [f"{observation.edges[i]:.3g}" for i in at])
        axes.set_yscale("log")
    figure.suptitle(f"Observation model of TRIM-POMDP, fitted on {trained_on}", fontsize=8)
    grid[0, 0].set_ylabel("probability of the bin in the state (%)")
    grid[0, 0].legend(loc="best")
    return figure
