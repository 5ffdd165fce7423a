"""Whether PRM scores foresee that a solution comes out right: their reliability, and areas under the ROC curve."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from trim.figures.style import PAGE_INCHES, begin

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

BEHAVIOUR = "weak-only"
"""Whose solutions are drawn: those that routers read scores of."""

BARS = ("step", "minimum", "mean", "product", "last")
SCORED = {"step": "score of a step", "last": "last score of a solution"}
MARKS = "os^Dv"


def draw(outcomes: pd.DataFrame, reliability: pd.DataFrame, dataset: str, trained_on: str) -> Figure:
    """Draw the PRMs of one dataset: reliability of two kinds of score, and a group of bars for each way to sum up."""
    palette = begin()
    from matplotlib import pyplot as plt

    outcomes, reliability = (
        table[(table["dataset"] == dataset) & (table["behaviour"] == BEHAVIOUR)] for table in (outcomes, reliability)
    )
    prms = list(dict.fromkeys(outcomes["prm"]))
    width = 0.8 / max(len(prms), 1)
    figure, (*curves, bars) = plt.subplots(1, 3, figsize=(PAGE_INCHES, 0.36 * PAGE_INCHES), width_ratios=(1, 1, 1.3))
    for axes, label in zip(curves, SCORED.values(), strict=True):
        axes.plot([0, 1], [0, 1], color="0.5", linewidth=0.7, linestyle="--")
        axes.set(xlim=(0, 1), ylim=(0, 1), xlabel=label, xticks=[0, 0.5, 1])
    curves[0].set(ylabel="share of solutions that are right", title=f"{dataset}: reliability")
    for place, prm in enumerate(prms):
        colour, mark = palette[place % 10], MARKS[place % len(MARKS)]
        for axes, scored in zip(curves, SCORED, strict=True):
            part = reliability[(reliability["prm"] == prm) & (reliability["scored"] == scored)]
            axes.plot(part["score"], part["right"], color=colour, marker=mark)
        found = outcomes[outcomes["prm"] == prm].set_index("measure")
        areas = found.reindex([f"AUC of the {name} score" for name in BARS])
        x = np.arange(len(BARS)) + width * (place - (len(prms) - 1) / 2)
        bars.bar(x, areas["value"] - 0.5, width, bottom=0.5, color=colour, label=prm)
        bars.vlines(x, areas["value_lo"], areas["value_hi"], color="0.1", linewidth=0.8)
    bars.axhline(0.5, color="0.5", linewidth=0.7, linestyle="--")
    bars.set_xticks(range(len(BARS)), BARS)
    bars.set(ylabel="AUC for a right answer", title="solutions of the weak model")
    figure.legend(*bars.get_legend_handles_labels(), loc="outside lower center", ncols=max(len(prms), 1), title="PRM")
    return figure
