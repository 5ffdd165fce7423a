"""Labelled prefixes: what keeping and regenerating a draft bring where trees hold both, and how good decisions are.

Whoever decides, from the text or by whatever else, is scored on the table alone, in seconds: no model, no rollout.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from trim.errors import InputError
from trim.layouts import PREFIXES
from trim.rollout.trees import KEEP, RolloutTrees
from trim.routers.fitted_q.induction import Futures
from trim.routers.kappas import tokens_per_solution

if TYPE_CHECKING:
    import pandas as pd

CONTINUATIONS = ("weak", "strong")
"""Who writes all that follows the step under decision."""

SCORED = ("continuation", "kappa", "prefixes", "regenerated", "gain", "gain_of_all", "gain_in_hindsight")


def label_prefixes(trees: RolloutTrees) -> pd.DataFrame:
    """Lay out every node at which both actions are known to lead to an end: a row a prefix and its draft."""
    import pandas as pd

    futures = Futures.of(trees)
    writes = np.broadcast_to([False, True], (len(trees), len(CONTINUATIONS)))
    right, net = (futures.worth(writes, np.full(len(CONTINUATIONS), price))[0] for price in (0.0, 1.0))
    observed = futures.observed
    rows = np.flatnonzero(np.isfinite(right).all(axis=(1, 2)) & np.isfinite(observed.score))
    roots = trees.nodes["root"][rows].tolist()
    problems, replicates = [trees.problem(root).id for root in roots], [trees.replicate(root) for root in roots]
    authors = ["".join(np.where(observed.strong[row, : observed.position[row]], "s", "w")) for row in rows]
    columns: dict[str, Any] = {
        "prefix": ["/".join(map(str, name)) for name in zip(problems, replicates, authors, strict=True)],
        "problem_id": problems,
        "replicate": replicates,
        "authors": authors,
        "text": [trees.prefix(row).text for row in rows.tolist()],
        "draft": [trees.text(row, KEEP) for row in rows.tolist()],
        "score": observed.score[rows],
        "draft_tokens": observed.draft_tokens[rows],
        "weight": futures.reached()[rows],
        "solution_tokens": tokens_per_solution(trees),
    }
    for action, does in enumerate(("keep", "regenerate")):
        for k, who in enumerate(CONTINUATIONS):
            columns[f"{does}_{who}_right"] = right[rows, action, k]
            columns[f"{does}_{who}_tokens"] = (right - net)[rows, action, k]
    return pd.DataFrame(columns, columns=list(PREFIXES))


def score_decisions(table: pd.DataFrame, decisions: pd.DataFrame, kappas: Sequence[float]) -> pd.DataFrame:
    """Tell what decisions gain over keeping every draft, in right answers per decision, at each kappa.

    Parameters
    ----------
    table
        Labelled prefixes.
    decisions
        Columns `prefix`, `regenerate` (0 or 1): a row for every prefix of the table.
    kappas
        Right answers that all tokens of a strong solution are worth.

    Returns
    -------
    A row a continuation and kappa: the share that is `regenerated`, the `gain`, and those of regenerating everything
    and of whoever knew how both end. Prefixes count by their weight.

    Raises
    ------
    InputError
        If a prefix lacks a decision, has two, or is not in the table.
    """
    import pandas as pd

    regenerate = _matched(table, decisions)
    weight = table["weight"] / table["weight"].sum()
    rows = []
    for who in CONTINUATIONS:
        right, tokens = (
            (table[f"regenerate_{who}_{what}"] - table[f"keep_{who}_{what}"]).to_numpy() for what in ("right", "tokens")
        )
        for kappa in kappas:
            gain = right - kappa * tokens / table["solution_tokens"]
            gains = (float((weight * gain * chosen).sum()) for chosen in (regenerate, 1, gain > 0))
            rows.append((who, kappa, len(table), float((weight * regenerate).sum()), *gains))
    return pd.DataFrame(rows, columns=list(SCORED))


def _matched(table: pd.DataFrame, decisions: pd.DataFrame) -> pd.Series:
    """Return the decisions in the order of the table."""
    if lacking := [name for name in ("prefix", "regenerate") if name not in decisions]:
        raise InputError(f"decisions: there is no column {lacking[0]!r}; they have a row a prefix: prefix,regenerate")
    if not decisions["regenerate"].isin([0, 1]).all():
        raise InputError("decisions: the column 'regenerate' must hold 0 or 1 in every row")
    known, given = set(table["prefix"]), decisions["prefix"]
    if (again := given[given.duplicated()]).size:
        raise InputError(f"decisions: prefix {again.iloc[0]!r} has two rows; leave one")
    if odd := sorted(set(given) - known):
        raise InputError(f"decisions: prefix {odd[0]!r} is not in the table; decide on the prefixes of this one")
    if missing := sorted(known - set(given)):
        raise InputError(f"decisions: prefix {missing[0]!r} has no row; every prefix of the table needs one")
    return decisions.set_index("prefix")["regenerate"].astype(float).reindex(table["prefix"]).reset_index(drop=True)
