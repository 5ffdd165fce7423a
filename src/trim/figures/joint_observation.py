"""Heat maps of a draft's PRM score and of the lowest score before it, a panel a state (paper, Figure 5)."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from trim.figures.style import PAGE_INCHES, STATE_LOOKS, begin
from trim.routers.pomdp.disk import load_solved
from trim.routers.pomdp.observation import ObservationModel

if TYPE_CHECKING:
    from matplotlib.figure import Figure

CONTRAST = 1000.0
"""Below the likeliest pair by this factor all pairs look alike: there the floor of the likelihoods begins."""


def draw_fitted(solved: Path, trained_on: str) -> Figure:
    """Draw what was fitted on one dataset, from its file."""
    return draw(load_solved(solved).model.observation, trained_on)


def draw(observation: ObservationModel, trained_on: str) -> Figure:
    """Draw the likelihoods of pairs of scores, which only a joint alphabet has."""
    begin()
    from matplotlib import pyplot as plt
    from matplotlib.colors import LogNorm

    edges = observation.edges
    bins = len(edges) - 1
    figure, grid = plt.subplots(1, 3, figsize=(PAGE_INCHES, 0.37 * PAGE_INCHES), sharex=True, sharey=True)
    shown = 100 * observation.draft.reshape(bins, bins, 3)  # axes: lowest before, score, state
    norm = LogNorm(shown.max() / CONTRAST, shown.max())
    for state, axes in enumerate(grid):
        mesh = axes.pcolormesh(edges, edges, shown[..., state].T, norm=norm, cmap="cividis", rasterized=True)
        axes.set(title=STATE_LOOKS[state].label, xlabel="lowest score before", aspect="equal")
        axes.grid(False)
    grid[0].set_ylabel("score of the draft")
    figure.suptitle(f"Observation model of TRIM-POMDP, released variant, fitted on {trained_on}", fontsize=8)
    bar = figure.colorbar(mesh, ax=grid, label="probability in the state (%)", extend="min", shrink=0.85, pad=0.01)
    bar.ax.minorticks_off()
    return figure
