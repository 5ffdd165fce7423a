"""Tables as narrow as a paper needs them: one dataset, one training run, a line a router."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from trim.evaluation.format import ABSENT, cell, escape, form_of, tabular
from trim.names import END_POINTS, in_order, look_of, names, routers_of

if TYPE_CHECKING:
    import pandas as pd

CPTS = {"cpt50": r"CPT\textsubscript{50}", "cpt80": r"CPT\textsubscript{80}", "cpt95": r"CPT\textsubscript{95}"}
PRM_MEASURES = {
    "step AUC": "step AUC",
    "step AUC up to the first error": "to first error",
    "step AUC up to the first error, weak steps": "weak steps",
    "step AUC up to the first error, weak steps, operation alone": "operation alone",
    "ECE": "ECE",
    "AUC of the minimum score, weak-only": "answer AUC",
}


def label(router: str, variant: str) -> str:
    """Return a router's name as figures have it."""
    return escape(look_of(router, variant).label)


def end_point_table(curves: pd.DataFrame, by_steps: pd.DataFrame | None) -> str:
    """Return the models alone on each dataset: their answers, and their solutions without a wrong step where known."""
    rows, right = [], {}
    if by_steps is not None:
        right = {(row["dataset"], row["behaviour"]): row for row in by_steps.to_dict("records")}
    for dataset, part in curves.groupby("dataset"):
        ends = part.set_index("router")
        strong = ends.loc[END_POINTS[1]].to_dict()
        cells = [
            text
            for name in END_POINTS
            for text in (
                cell(ends.loc[name].to_dict(), "accuracy"),
                cell(right[dataset, name], "accuracy_all_right") if (dataset, name) in right else ABSENT,
            )
        ]
        rows.append([escape(dataset), *cells, cell(strong, "strong_tokens")])
    return _narrow(["Dataset", r"Weak, \%", "all steps", r"Strong, \%", "all steps", "Tokens"], rows)


def router_table(main: pd.DataFrame, dataset: str, trained_on: str) -> str:
    """Return the metrics of every router on one dataset, fitted on one or on none; shares in percent.

    Routers of the paper stand together, and so do query-level baselines; all others come last.
    """
    rows = _shown(main[main["reading"] == "envelope"], dataset, trained_on).set_index(["router", "variant"], drop=False)
    groups: list[list[list[str]]] = [[], [], []]
    for key in in_order(rows):
        row = rows.loc[key].to_dict()
        place = {"trim": 0, "query": 1}.get(names()[key].family, 2)
        groups[place].append([label(*key), *(cell(row, name) for name in (*CPTS, "delta_ibc"))])
    return _narrow(["Router", *CPTS.values(), r"$\Delta$IBC"], *groups)


def baseline_table(comparisons: pd.DataFrame, dataset: str, trained_on: str) -> str:
    """Return the differences of delta IBC between each TRIM router and each query-level baseline, paired."""
    rows = _shown(comparisons[comparisons["quantity"] == "delta IBC"], dataset, trained_on)
    rows = rows[rows["other_router"].isin(routers_of("query"))]
    found = {
        (row["other_router"], row["other_variant"], row["router"], row["variant"]): cell(row, "difference")
        for row in rows.to_dict("records")
    }
    ours = [key for key in names() if key in {pair[2:] for pair in found}]
    others = [key for key in names() if key in {pair[:2] for pair in found}]
    lines = [[label(*other), *(found.get((*other, *key), ABSENT) for key in ours)] for other in others]
    return _narrow(["Baseline", *(label(*key) for key in ours)], lines)


def prm_table(quality: pd.DataFrame) -> str:
    """Return how well each PRM verifies."""
    rows = []
    for (prm, dataset), part in quality.groupby(["prm", "dataset"], sort=False):
        values = part.set_index("measure")["value"]
        cells = [form_of("auc").latex(values.get(measure, float("nan"))) for measure in PRM_MEASURES]
        rows.append([escape(prm), escape(dataset), *cells])
    return _narrow(["PRM", "Dataset", *PRM_MEASURES.values()], rows)


def needed_prm_table(needed: pd.DataFrame) -> str:
    """Return what thresholds on scores are worth that know the future, by the noise on them, beside the PRM's."""
    rows = []
    for row in needed.to_dict("records"):
        noise = row["deviation"]
        known = rf"{row['scores']}, noise {noise:g}" if noise == noise and noise else row["scores"]
        rows.append(
            [escape(row["dataset"]), escape(known), *(cell(row, name) for name in ("auc", "delta_ibc", "difference"))]
        )
    return _narrow(["Dataset", "Scores", "AUC", r"$\Delta$IBC", "above the PRM's"], rows)


def _narrow(header: Sequence[str], *groups: Sequence[Sequence[str]]) -> str:
    """Return a table whose first column is text, and all others numbers."""
    return tabular("l" + "r" * (len(header) - 1), header, *groups)


def _shown(rows: pd.DataFrame, dataset: str, trained_on: str) -> pd.DataFrame:
    """Rows of one dataset, of the first run of routers that were fitted on one dataset or on none."""
    fitted = rows["trained_on"].isin([trained_on, "untrained"])
    return rows[rows["dataset"].eq(dataset) & fitted & rows["seed"].eq(0)]
