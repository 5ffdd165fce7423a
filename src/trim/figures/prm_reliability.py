"""How well PRM scores can be trusted: reliability diagrams, and the scores of right and wrong steps."""

from __future__ import annotations

from typing import TYPE_CHECKING

from trim.figures.style import PAGE_INCHES, begin, dataset_looks
from trim.names import BLACK

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure


def draw(quality: pd.DataFrame, reliability: pd.DataFrame, histogram: pd.DataFrame) -> Figure:
    """Draw two panels a PRM: reliability by dataset above, score distributions of all datasets below.

    At most four PRMs stand abreast.
    """
    palette = begin()
    from matplotlib import pyplot as plt
    from matplotlib.lines import Line2D

    prms = list(dict.fromkeys(reliability["prm"]))
    looks = dataset_looks(dict.fromkeys(reliability["dataset"]))
    rows = -(-len(prms) // 4)
    columns = -(-len(prms) // rows)
    size = PAGE_INCHES, rows * 0.5 * PAGE_INCHES
    figure, grid = plt.subplots(2 * rows, columns, figsize=size, squeeze=False, sharex=True, sharey="row")
    upper, lower = grid[::2].ravel(), grid[1::2].ravel()
    for axes in (*upper[len(prms) :], *lower[len(prms) :]):
        axes.remove()
    for above, below, prm in zip(upper, lower, prms, strict=False):
        above.plot([0, 1], [0, 1], color="0.5", linewidth=0.7, linestyle="--")
        for dataset, look in looks.items():
            part = reliability[(reliability["prm"] == prm) & (reliability["dataset"] == dataset)]
            if part.empty:  # further PRMs are measured on the main dataset only
                continue
            of_it = quality[(quality["prm"] == prm) & (quality["dataset"] == dataset)].set_index("measure")["value"]
            label = f"{of_it['step AUC up to the first error']:.3f}, {of_it['ECE']:.3f}"
            above.plot(part["score"], part["right"], label=label, **look.drawn(palette))
        above.set(title=f"PRM “{prm}”", ylim=(0, 1), xlim=(0, 1))
        above.legend(loc="lower right", title="AUC, ECE", borderaxespad=0.1, handlelength=1.6)
        scores = histogram[histogram["prm"] == prm].groupby("low")[["right", "wrong"]].sum()
        edges = [*scores.index, 1]
        below.stairs(scores["right"], edges, fill=True, color=palette[9], label="right steps")
        below.stairs(scores["wrong"], edges, color=palette[BLACK], label="wrong steps", linewidth=0.9)
        below.set(xlabel="PRM score", yscale="symlog")
        below.tick_params(labelbottom=True)
        above.set_xticks([0, 0.5, 1])
    for above, below in zip(grid[::2, 0], grid[1::2, 0], strict=True):
        above.set_ylabel("share of right steps")
        below.set_ylabel("steps")
    handles, names = below.get_legend_handles_labels()
    handles += [Line2D([], [], **look.drawn(palette)) for look in looks.values()]
    figure.legend(handles, [*names, *looks], loc="outside lower center", ncols=len(handles))
    return figure
