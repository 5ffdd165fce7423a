"""One look for all figures: two-column paper width, colours and markers that survive greyscale."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from trim.names import Look

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

PAGE_INCHES = 6.9
"""Width of a figure across both columns; drawn at this size, no letter is smaller than SMALL points."""

SMALL = 6.5
DOTS_PER_INCH = 200

DRAWN_SHARE = 0.4
"""Strong share up to which some figures draw: beyond it the curves lie on each other."""


class StateLook(NamedTuple):
    """How a state of TRIM-POMDP is drawn: its name, a colour of the palette, a line."""

    label: str
    colour: int
    line: str


STATE_LOOKS = (
    StateLook("S0: all right so far", 2, "-"),
    StateLook("S1: an earlier step is wrong", 7, "--"),
    StateLook("S2: only this step is wrong", 3, "-."),
)


def dataset_looks(datasets: Iterable[str]) -> dict[str, Look]:
    """Return how datasets are told apart where a figure shows several in one panel, in this order."""
    marks = zip("os^Dv", ("-", "--", "-.", ":", "-"), strict=True)
    looks = (Look(str(name), place, *mark) for place, (name, mark) in enumerate(zip(datasets, marks, strict=False)))
    return {look.label: look for look in looks}


def shown_kappas(kappas: Sequence[float]) -> list[float]:
    """Return a low, a middle and a high kappa of a sweep, as far as it has them."""
    import numpy as np

    return [float(kappa) for kappa in np.unique(np.quantile(kappas, (0.2, 0.5, 0.8), method="nearest"))]


def begin() -> list[tuple[float, float, float]]:
    """Set the style of the figure to come, and return the palette: seaborn's for the colour-blind, and black."""
    import matplotlib as mpl

    mpl.use("Agg")
    import seaborn as sns

    sns.set_theme(
        context="paper",
        style="ticks",
        palette="colorblind",
        rc={
            "font.size": 8,
            "axes.titlesize": 8,
            "axes.labelsize": 8,
            "xtick.labelsize": 7,
            "ytick.labelsize": 7,
            "legend.fontsize": SMALL,
            "legend.title_fontsize": SMALL,
            "legend.frameon": False,
            "axes.linewidth": 0.7,
            "xtick.major.width": 0.7,
            "ytick.major.width": 0.7,
            "xtick.major.size": 3,
            "ytick.major.size": 3,
            "xtick.minor.width": 0.5,
            "ytick.minor.width": 0.5,
            "xtick.minor.size": 1.5,
            "ytick.minor.size": 1.5,
            "hatch.linewidth": 0.4,
            "axes.grid": True,
            "grid.color": "0.9",
            "grid.linewidth": 0.5,
            "lines.linewidth": 1.2,
            "lines.markersize": 3.5,
            "pdf.fonttype": 42,
            "figure.constrained_layout.use": True,
        },
    )
    return [*sns.color_palette("colorblind"), (0.1, 0.1, 0.1)]


def panels(count: int, height: float, **options: Any) -> tuple[Figure, list[Axes]]:
    """Return a figure across the page with so many panels: at most four abreast, in rows as even as can be.

    Parameters
    ----------
    height
        Of a row, in inches.
    """
    from matplotlib import pyplot as plt

    rows = -(-count // 4)
    columns = -(-count // rows)
    figure, grid = plt.subplots(rows, columns, figsize=(PAGE_INCHES, rows * height), squeeze=False, **options)
    for axes in grid.flat[count:]:
        axes.remove()
    return figure, list(grid.flat[:count])


def save(figure: Figure, paths: Iterable[str | Path], origin: Mapping[str, Any]) -> None:
    """Write a figure as PDF and PNG, without dates, its provenance in the metadata."""
    from matplotlib import pyplot as plt

    from trim.files import written_aside

    subject = f"TRIM, config {origin['config_hash']}, code {origin['code']}"
    for path in map(Path, paths):
        kind = path.suffix.removeprefix(".")
        dates = {"CreationDate": None, "ModDate": None, "Subject": subject} if kind == "pdf" else {"Comment": subject}
        with written_aside(path) as aside:
            figure.savefig(aside, format=kind, dpi=DOTS_PER_INCH, metadata=dates)
    plt.close(figure)
