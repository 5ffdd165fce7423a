"""Curves that others published, as points beside ours: `data/published/README.md` names their sources."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    import pandas as pd

Source = Literal["paper", "log"]


def published_points(folder: Path, source: Source, dataset: str) -> pd.DataFrame:
    """Read the operating points of a dataset: columns router, strong_tokens (per problem), accuracy.

    Parameters
    ----------
    folder
        Where `data/published/` is.
    source
        `paper`: its Figure 6, digitised; `log`: what the official code logged, without the strong model alone.
    dataset
        Where nothing was published for it, there are no points.
    """
    import pandas as pd

    columns = ["router", "strong_tokens", "accuracy"]
    if source == "paper":
        points, anchors = pd.read_csv(folder / "figure6.csv"), pd.read_csv(folder / "anchors.csv")
        sizes = anchors[anchors["source"] == source].set_index("dataset")["problems"]
        points = points[points["dataset"] == dataset]
        return points.assign(accuracy=points["correct"] / sizes.get(dataset, 1))[columns]
    # Both were logged on the same dataset, or neither: threshold 1 is the strong model alone.
    logs = {"trim-thr": folder / f"log_{dataset}_thr.csv", "trim-pomdp": folder / f"log_{dataset}_pomdp.csv"}
    found = [pd.read_csv(path).assign(router=router) for router, path in logs.items() if path.is_file()]
    if not found:
        return pd.DataFrame(columns=columns)
    points = pd.concat(found, ignore_index=True)
    return points.loc[points["threshold"] != 1.0, columns]
