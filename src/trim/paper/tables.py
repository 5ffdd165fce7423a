"""Tables as narrow as a paper needs them: one dataset, one training run, a line a router."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from trim.evaluation.format import ABSENT, escape, form_of, tabular
from trim.names import look_of, names, routers_of

if TYPE_CHECKING:
    import pandas as pd

CPTS = {"cpt50": r"CPT\textsubscript{50}", "cpt80": r"CPT\textsubscript{80}", "cpt95": r"CPT\textsubscript{95}"}
GROUPS = (routers_of("trim"), routers_of("query"))
"""Routers that stand together; all others come last."""

PRM_MEASURES = {
    "step AUC": "step AUC",
    "step AUC up to the first error": "to first error",
    "ECE": "ECE",
    "AUC of the minimum score, weak-only": "answer AUC",
}


def _place(router: str, variant: str) -> tuple[int, str, str]:
    """Where a router stands in a table: in the order of figures, those without a look last."""
    known = list(names())
    key = (router, variant)
    return known.index(key) if key in names() else len(known), router, variant


def label(router: str, variant: str) -> str:
    """Return a router's name as figures have it."""
    return escape(look_of(router, variant).label)


def end_point_table(curves: pd.DataFrame) -> str:
    """Return the models alone on each dataset."""
    rows = []
    for dataset, part in curves.groupby("dataset"):
        ends = part.set_index("router")
        weak, strong = (ends.loc[name].to_dict() for name in ("weak-only", "strong-only"))
        accuracies = (_cell(row, "accuracy") for row in (weak, strong))
        rows.append([escape(dataset), *accuracies, _cell(strong, "strong_tokens")])
    return _narrow(["Dataset", r"Weak, \%", r"Strong, \%", "Tokens"], rows)


def router_table(main: pd.DataFrame, dataset: str, trained_on: str) -> str:
    """Return the metrics of every router on one dataset, fitted on one or on none; shares in percent."""
    groups: list[list[list[str]]] = [[] for _ in (*GROUPS, "others")]
    rows = _shown(main[main["reading"] == "envelope"], dataset, trained_on).to_dict("records")
    for row in sorted(rows, key=lambda row: _place(row["router"], row["variant"])):
        place = next((i for i, group in enumerate(GROUPS) if row["router"] in group), len(GROUPS))
        cells = [_cell(row, name) for name in (*CPTS, "delta_ibc")]
        groups[place].append([label(row["router"], row["variant"]), *cells])
    return _narrow(["Router", *CPTS.values(), r"$\Delta$IBC"], *groups)


def baseline_table(comparisons: pd.DataFrame, dataset: str, trained_on: str) -> str:
    """Return the differences of delta IBC between each TRIM router and each query-level baseline, paired."""
    rows = _shown(comparisons[comparisons["quantity"] == "delta IBC"], dataset, trained_on)
    rows = rows[rows["other_router"].isin(routers_of("query"))]
    found = {
        (row["other_router"], row["other_variant"], row["router"], row["variant"]): _cell(
            row, "difference", "delta", "+"
        )
        for row in rows.to_dict("records")
    }
    ours = sorted({key[2:] for key in found}, key=lambda key: _place(*key))
    others = sorted({key[:2] for key in found}, key=lambda key: _place(*key))
    lines = [[label(*other), *(found.get((*other, *key), ABSENT) for key in ours)] for other in others]
    return _narrow(["Baseline", *(label(*key) for key in ours)], lines)


def prm_table(quality: pd.DataFrame) -> str:
    """Return how well each PRM verifies."""
    rows = []
    for (prm, dataset), part in quality.groupby(["prm", "dataset"], sort=False):
        values = part.set_index("measure")["value"]
        cells = [form_of("auc").value(values.get(measure, float("nan"))) for measure in PRM_MEASURES]
        rows.append([escape(prm), escape(dataset), *cells])
    return _narrow(["PRM", "Dataset", *PRM_MEASURES.values()], rows)


def _narrow(header: Sequence[str], *groups: Sequence[Sequence[str]]) -> str:
    """Return a table whose first column is text, and all others numbers."""
    return tabular("l" + "r" * (len(header) - 1), header, *groups)


def _shown(rows: pd.DataFrame, dataset: str, trained_on: str) -> pd.DataFrame:
    """Rows of one dataset, of the first run of routers that were fitted on one dataset or on none."""
    fitted = rows["trained_on"].isin([trained_on, "untrained"])
    return rows[rows["dataset"].eq(dataset) & fitted & rows["seed"].eq(0)]


def _cell(row: dict[str, float], name: str, quantity: str = "", sign: str = "") -> str:
    """Write an estimate and, smaller, its interval; without its unit, which stands in the header."""
    form = form_of(quantity or name)
    value, low, high = (row[key] * form.scale for key in (name, f"{name}_lo", f"{name}_hi"))
    if value != value:
        return ABSENT
    ends = ", ".join(ABSENT if end != end else f"${end:{sign}.{form.digits}f}$" for end in (low, high))
    return rf"${value:{sign}.{form.digits}f}$ {{\scriptsize [{ends}]}}"
