"""What others published, beside what we measure: `data/published/README.md` names the sources."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from trim.evaluation.curves import Metrics, paper_metrics

if TYPE_CHECKING:
    import pandas as pd

Source = Literal["paper", "log"]
TABLES = (1, 2, 7, 8)
PAPER_MODELS = {"weak": "Qwen2.5-3B-Instruct", "strong": "Claude 3.7 Sonnet", "prm": "Qwen2.5-Math-PRM-7B"}
MEASURES = ("cpt50_percent", "cpt80_percent", "cpt95_percent", "delta_ibc")


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


def anchor(folder: Path, source: Source, dataset: str) -> pd.Series:
    """Read what was published of the two models alone on a dataset."""
    import pandas as pd

    anchors = pd.read_csv(folder / "anchors.csv")
    return anchors[(anchors["source"] == source) & (anchors["dataset"] == dataset)].iloc[0]


def printed_tables(folder: Path) -> pd.DataFrame:
    """Read Tables 1, 2, 7 and 8 of the paper: columns table, dataset, router and MEASURES."""
    import pandas as pd

    tables = [pd.read_csv(folder / f"table{number}.csv").assign(table=number) for number in TABLES]
    return pd.concat(tables, ignore_index=True)[["table", "dataset", "router", *MEASURES]]


def metric_check(folder: Path) -> pd.DataFrame:
    """Read the published curves with our metrics (`paper` reading), beside what the paper prints of them.

    Returns
    -------
    pandas.DataFrame
        Columns source, dataset, router, measure, published (empty for the logs: no table is of that pair),
        recomputed, difference. What is left of a difference in Figure 6 is the digitising, good to a token.
    """
    import pandas as pd

    printed = printed_tables(folder).query("table == 1").set_index(["dataset", "router"])
    rows: list[dict[str, Any]] = []
    curves: list[tuple[str, Source, str]] = [
        ("Figure 6", "paper", "math500"),
        ("Figure 6", "paper", "aime"),
        ("released log", "log", "math500"),
    ]
    for source, kind, dataset in curves:
        alone = anchor(folder, kind, dataset)
        for router, points in published_points(folder, kind, dataset).groupby("router", sort=False):
            metrics = paper_metrics(
                (points["strong_tokens"] / alone["strong_tokens"]).tolist(),
                points["accuracy"].tolist(),
                alone["weak_correct"] / alone["problems"],
                alone["strong_correct"] / alone["problems"],
            )
            for measure, recomputed in as_printed(metrics).items():
                published = printed.loc[(dataset, router), measure] if kind == "paper" else None
                row = {"source": source, "dataset": dataset, "router": router, "measure": measure}
                rows.append({**row, "published": published, "recomputed": recomputed})
    table = pd.DataFrame(rows)
    return table.assign(difference=table["recomputed"] - table["published"])


def as_printed(metrics: Metrics) -> dict[str, float | None]:
    """Return metrics as the paper prints them: CPT in percent of the strong model alone."""
    cpts = (metrics.cpt50, metrics.cpt80, metrics.cpt95)
    percents = [None if cpt is None else 100 * cpt for cpt in cpts]
    return dict(zip(MEASURES, [*percents, metrics.delta_ibc], strict=True))
