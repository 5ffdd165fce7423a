"""What TRIM-Agg has learned: how long a draft may be that it regenerates, by its score and the lowest before."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from trim.arrays import Floats, Integers
from trim.figures.style import PAGE_INCHES, SMALL, begin, shown_kappas
from trim.rollout.history import Observed
from trim.routers.learned.agg import AggPolicy
from trim.routers.learned.disk import load_policies

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


SCORES = 1 / (1 + np.exp(-np.linspace(-7, 7.6, 160)))
TICKS = (0.01, 0.1, 0.5, 0.9, 0.99, 0.999)
"""Scores pile up near 1: they are laid evenly in their logits."""

POSITIONS = (0.0, 0.5, 0.9)
"""Which drafts are drawn, of those behind the first step: quantiles of their positions."""

TOKENS = (0.1, 0.5, 0.9)
"""Which token counts are asked about: quantiles of those of drafts."""

DOTS = 300
"""Most drafts that are drawn in a panel."""


def draw_fitted(policies: Path, scores: pd.DataFrame, trained_on: str) -> Figure:
    """Draw what one training run learned, from its folder."""
    points = [policy for policy in load_policies(policies) if isinstance(policy, AggPolicy)]
    return draw(points, scores, trained_on)


def draw(policies: Sequence[AggPolicy], drafts: pd.DataFrame, trained_on: str) -> Figure:
    """Draw a row a kappa and a column a step, with the weak model's own drafts there as dots.

    Parameters
    ----------
    policies
        Operating points of one training run.
    drafts
        Scored rollouts; those of the weak model alone are looked at.
    """
    begin()
    from matplotlib import pyplot as plt
    from matplotlib.colors import BoundaryNorm

    drafts = with_lowest_before(drafts)
    later = drafts[drafts["position"] > 0]
    positions = np.unique(later["position"].quantile(POSITIONS, interpolation="nearest"))
    tokens = np.unique(drafts["tokens"].quantile(TOKENS, interpolation="nearest"))
    by_kappa = {policy.kappa: policy for policy in policies}
    kappas = shown_kappas(list(by_kappa))
    classes = np.arange(len(tokens) + 2) - 0.5
    norm = BoundaryNorm(classes, 256)
    figure, grid = plt.subplots(
        len(kappas),
        len(positions),
        figsize=(PAGE_INCHES, (0.12 + 0.24 * len(kappas)) * PAGE_INCHES),
        squeeze=False,
        sharex=True,
        sharey=True,
    )
    for row, kappa in zip(grid, kappas, strict=True):
        row[0].set_ylabel(f"kappa {kappa:.2g}\nlowest score before")
        for axes, position in zip(row, positions, strict=True):
            regions = longest_regenerated(by_kappa[kappa], int(position), SCORES, tokens)
            mesh = axes.pcolormesh(SCORES, SCORES, regions, norm=norm, cmap="cividis", rasterized=True)
            _draw_dots(axes, later[later["position"] == position].head(DOTS))
    for axes, position in zip(grid[0], positions, strict=True):
        axes.set_title(f"step {int(position) + 1}")
    for axes in grid[-1]:
        axes.set_xlabel("score of the draft")
    figure.suptitle(f"Decisions of TRIM-Agg, trained on {trained_on}; dots: drafts of the weak model", fontsize=8)
    bar = figure.colorbar(mesh, ax=grid, label="longest draft regenerated (tokens)", shrink=0.6, aspect=30, pad=0.01)
    bar.set_ticks(range(len(tokens) + 1), labels=["none", *(f"{count:g}" for count in tokens)])
    bar.ax.minorticks_off()
    return figure


def _draw_dots(axes: Axes, drafts: pd.DataFrame) -> None:
    """Draw drafts where their scores lie, and lay both axes in logits."""
    x, y = (drafts[name].clip(SCORES[0], SCORES[-1]) for name in ("score", "lowest_before"))
    axes.scatter(x, y, s=3, color="white", edgecolor="0.1", linewidth=0.3)
    axes.set(xscale="logit", yscale="logit", xlim=SCORES[[0, -1]], ylim=SCORES[[0, -1]])
    axes.set_xticks(TICKS, [f"{tick:g}" for tick in TICKS])
    axes.set_yticks(TICKS, [f"{tick:g}" for tick in TICKS])
    axes.tick_params(labelsize=SMALL)
    axes.minorticks_off()
    axes.grid(False)


def with_lowest_before(scored: pd.DataFrame) -> pd.DataFrame:
    """Return the weak model's own drafts, with the lowest score of the steps before; it is empty at the first."""
    drafts = scored[scored["behaviour"] == "weak-only"].sort_values(["problem_id", "replicate", "position"])
    solutions = drafts.groupby(["problem_id", "replicate"])["score"]
    return drafts.assign(lowest_before=solutions.transform(lambda scores: scores.cummin().shift()))


def longest_regenerated(policy: AggPolicy, position: int, scores: Floats, tokens: Floats) -> Integers:
    """Return how many of the token counts lie at or below the longest that is regenerated.

    Parameters
    ----------
    position
        Kept steps before the draft, at least one: the first has the lowest score, the others the score 1.
    scores
        Shape (n,); of the draft, and the lowest before.
    tokens
        Shape (k,), rising.

    Returns
    -------
    Shape (n, n), from 0 to k; axes: lowest before, score.
    """
    lowest, score = (values.ravel() for values in np.meshgrid(scores, scores, indexing="ij"))
    history = np.ones((len(score), position + 1))
    history[:, 0], history[:, position] = lowest, score
    longest = np.zeros(len(score), dtype=np.int64)
    for rank, count in enumerate(tokens, 1):
        counts = np.full(history.shape, int(count))
        nothing = np.zeros(history.shape, dtype=bool)
        at = np.full(len(score), position)
        observed = Observed(history, history, counts, nothing, at, nothing[:, 0])
        longest[policy.decide(observed)] = rank
    return longest.reshape(len(scores), len(scores))
