"""Decision regions of TRIM-POMDP on its beliefs: how long a draft may be that it still regenerates."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from trim.arrays import Floats
from trim.figures.style import PAGE_INCHES, begin, shown_kappas
from trim.routers.pomdp.disk import SolvedPomdp, load_solved
from trim.routers.pomdp.policy import regeneration_gain
from trim.routers.pomdp.transition import TransitionModel

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


INTERVALS = 120
"""Intervals along a side of the simplex of beliefs."""

CORNERS = np.array([[0.0, 0.0], [1.0, 0.0], [0.5, np.sqrt(3) / 2]])
"""Where the states S0, S1 and S2 lie."""


def draw_fitted(solved: Path, trained_on: str) -> Figure:
    """Draw what was solved for one dataset, from its file."""
    return draw(load_solved(solved), trained_on)


def draw(solved: SolvedPomdp, trained_on: str) -> Figure:
    """Draw a row a kappa, and a column a step: two that go on, and one that ends the solution."""
    begin()
    from matplotlib import pyplot as plt
    from matplotlib.colors import BoundaryNorm
    from matplotlib.tri import Triangulation

    beliefs = simplex(INTERVALS)
    place = Triangulation(*(beliefs @ CORNERS).T)
    tokens = np.unique(solved.model.transition.tokens)
    levels = np.array([0, *tokens])
    norm = BoundaryNorm(levels, 256, extend="both")
    kappas = shown_kappas(solved.origin["operating_points"])
    middle = median_length(solved.model.transition)
    columns = [(0, False), (middle // 2, False), (middle - 1, True)]
    figure, grid = plt.subplots(
        len(kappas), 3, figsize=(PAGE_INCHES, (0.1 + 0.22 * len(kappas)) * PAGE_INCHES), squeeze=False
    )
    for row, kappa in zip(grid, kappas, strict=True):
        for axes, (position, final) in zip(row, columns, strict=True):
            longest = break_even_tokens(solved, kappa, position, beliefs, final)
            regions = axes.tricontourf(place, longest, levels, norm=norm, cmap="cividis", extend="both")
            _frame(axes)
        row[0].text(-0.08, 0.5, f"kappa {kappa:.2g}", transform=row[0].transAxes, rotation=90, va="center", fontsize=8)
    for axes, (position, final) in zip(grid[0], columns, strict=True):
        axes.set_title(f"step {position + 1}, {'the last' if final else 'not the last'}")
    states = "belief in S0: all right, S1: an earlier step wrong, S2: only the draft wrong"
    figure.suptitle(f"Decisions of TRIM-POMDP, solved for {trained_on}; {states}", fontsize=8)
    label = "longest draft regenerated (tokens)"
    figure.colorbar(regions, ax=grid, label=label, ticks=levels, format="%g", shrink=0.6, aspect=30, pad=0.01)
    return figure


def simplex(intervals: int) -> Floats:
    """Return evenly spread beliefs over three states, shape (n, 3)."""
    first, second = np.meshgrid(np.arange(intervals + 1), np.arange(intervals + 1), indexing="ij")
    inside = first + second <= intervals
    some = np.stack([first[inside], second[inside]], axis=1) / intervals
    return np.column_stack([some, 1 - some.sum(axis=1)]).clip(0, 1)


def break_even_tokens(solved: SolvedPomdp, kappa: float, position: int, beliefs: Floats, final: bool) -> Floats:
    """Return the token count of a draft at which keeping and regenerating are worth the same, shape (n,).

    Parameters
    ----------
    beliefs
        Shape (n, 3); about the draft, its score seen.
    final
        Whether the draft ends the solution.
    """
    model, values, cost = solved.at(kappa)
    free, at = np.zeros(len(beliefs), dtype=np.int64), np.full(len(beliefs), position)
    gain = regeneration_gain(model, values, cost, at, (beliefs[:, 0], beliefs[:, 1], beliefs[:, 2]), free, final)
    return np.asarray(gain / cost)


def median_length(transition: TransitionModel) -> int:
    """Return the number of steps that half of all solutions do not exceed."""
    return 1 + int(np.argmax(np.cumprod(1 - transition.hazard) <= 0.5))


def _frame(axes: Axes) -> None:
    """Name the corners of a simplex, and take away the axes."""
    axes.set(aspect="equal", xlim=(-0.12, 1.12), ylim=(-0.08, 0.98))
    axes.axis("off")
    axes.plot(*CORNERS[[0, 1, 2, 0]].T, color="0.3", linewidth=0.7)
    for (x, y), name, side in zip(CORNERS, ("S0", "S1", "S2"), ("right", "left", "center"), strict=True):
        axes.text(x, y, f" {name} ", ha=side, va="bottom" if side == "center" else "center", fontsize=7)
