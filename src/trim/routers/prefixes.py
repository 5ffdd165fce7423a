"""Labelled prefixes: what keeping and regenerating a draft bring where trees hold both, and what routers decide there.

Whoever decides, from the text or by whatever else, is scored on the table alone, in seconds: no model, no rollout.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from trim.arrays import Booleans, Floats, Integers
from trim.layouts import CONTINUATIONS, PREFIXES
from trim.rollout.history import Observed, Router
from trim.rollout.trees import KEEP, RolloutTrees
from trim.rollout.vectorised import Nodes
from trim.routers.fitted_q.induction import Futures
from trim.routers.kappas import tokens_per_solution

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, eq=False)
class LabelledPrefixes:
    """Nodes of trees at which both actions are known to lead to an end: each is a prefix and its draft.

    Attributes
    ----------
    rows
        Which nodes.
    right, tokens
        What both actions bring there, shape (rows, 2, continuations).
    """

    trees: RolloutTrees
    futures: Futures
    rows: Integers
    right: Floats
    tokens: Floats

    @classmethod
    def of(cls, trees: RolloutTrees, most: int | None = None) -> LabelledPrefixes:
        """Find them.

        Parameters
        ----------
        most
            Stop before the problem with which there would be more; None for all problems.
        """
        futures = Futures.of(trees)
        writes = np.broadcast_to([False, True], (len(trees), len(CONTINUATIONS)))
        right, net = (futures.worth(writes, np.full(len(CONTINUATIONS), price))[0] for price in (0.0, 1.0))
        rows = np.flatnonzero(np.isfinite(right).all(axis=(1, 2)) & np.isfinite(futures.observed.score))
        if most is not None:
            fits = np.cumsum(np.bincount(futures.problem[rows], minlength=len(trees.problems))) <= most
            fits[0] = True
            rows = rows[fits[futures.problem[rows]]]
        return cls(trees, futures, rows, right[rows], (right - net)[rows])

    def table(self) -> pd.DataFrame:
        """Lay them out, a row each."""
        import pandas as pd

        futures, rows, trees, observed = self.futures, self.rows, self.trees, self.futures.observed
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
                columns[f"{does}_{who}_right"] = self.right[:, action, k]
                columns[f"{does}_{who}_tokens"] = self.tokens[:, action, k]
        return pd.DataFrame(columns, columns=list(PREFIXES))

    def decide(self, policies: Sequence[Router]) -> Booleans:
        """Tell which drafts each policy regenerates, shape (policies, rows)."""
        rows, trees = self.rows, self.trees
        observed = _of(self.futures.observed, rows, Nodes(trees, rows))
        after_strong = observed.strong[np.arange(len(rows)), observed.position - 1] & (observed.position > 0)
        found = np.ones((len(policies), len(rows)), dtype=bool)
        for regenerate, policy in zip(found, policies, strict=True):
            wanted = np.flatnonzero(policy.wants_drafts(after_strong))  # elsewhere the strong model writes
            regenerate[wanted] = policy.decide(_of(observed, wanted, Nodes(trees, rows[wanted])))
        return found


def _of(observed: Observed, rows: Integers, places: Nodes) -> Observed:
    """Return what is seen of some episodes."""
    arrays = {field.name: getattr(observed, field.name)[rows] for field in fields(Observed) if field.name != "places"}
    return replace(observed, **arrays, places=places)
