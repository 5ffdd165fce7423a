"""How well PRM scores can be trusted: reliability diagrams, and the scores of right and wrong steps."""

from __future__ import annotations

from typing import TYPE_CHECKING

from trim.figures.style import PAGE_INCHES, begin

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure


def draw(quality: pd.DataFrame, reliability: pd.DataFrame, histogram: pd.DataFrame) -> Figure:
    """Draw a column a PRM: reliability by dataset above, score distributions of all datasets below."""
    palette = begin()
    from matplotlib import pyplot as plt

    prms = list(dict.fromkeys(reliability["prm"]))
    datasets = list(dict.fromkeys(reliability["dataset"]))
    figure, grid = plt.subplots(
        2, len(prms), figsize=(PAGE_INCHES, 0.62 * PAGE_INCHES), squeeze=False, sharex=True, height_ratios=(3, 2)
    )
    for column, prm in enumerate(prms):
        above, below = grid[:, column]
        above.plot([0, 1], [0, 1], color="0.5", linewidth=0.7, linestyle="--")
        for style, marker, colour, dataset in zip(("-", "--", "-."), "os^", palette, datasets, strict=False):
            part = reliability[(reliability["prm"] == prm) & (reliability["dataset"] == dataset)]
            if part.empty:  # further PRMs are measured at home only
                continue
            measures = quality[(quality["prm"] == prm) & (quality["dataset"] == dataset)].set_index("measure")["value"]
            label = f"{dataset}: AUC {measures['step AUC up to the first error']:.3f}, ECE {measures['ECE']:.3f}"
            above.plot(part["score"], part["right"], style, marker=marker, color=colour, label=label)
        above.set(title=f"PRM “{prm}”", ylim=(0, 1), xlim=(0, 1))
        above.legend(loc="upper left", fontsize=5.5)
        scores = histogram[histogram["prm"] == prm].groupby("low")[["right", "wrong"]].sum()
        width = 1 / len(scores)
        below.bar(
            scores.index, scores["right"], width, align="edge", color=palette[0], label="right steps", linewidth=0
        )
        below.bar(
            scores.index,
            scores["wrong"],
            width,
            align="edge",
            color=palette[1],
            label="wrong steps",
            alpha=0.7,
            linewidth=0,
        )
        below.set(xlabel="PRM score", yscale="symlog")
        below.legend(loc="upper center")
    grid[0, 0].set_ylabel("share of steps that are right")
    grid[1, 0].set_ylabel("steps")
    return figure
