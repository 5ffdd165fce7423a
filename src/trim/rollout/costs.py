"""What a solution costs, counted from the steps on its path: for one episode or for many, in one place."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from trim.rollout.history import Booleans, Integers


@dataclass(frozen=True, slots=True)
class Costs:
    """Tokens of an episode, counted from token ids.

    Attributes
    ----------
    strong_tokens
        Decoded by the strong model: the cost of the paper.
    weak_tokens
        Decoded by the weak model and kept.
    discarded_tokens
        Decoded by the weak model and thrown away.
    prm_tokens
        Read by the PRM, the whole input of each call: what a server without a prefix cache computes.
    strong_prefill_tokens
        Read by the strong model, counted the same way.
    strong_calls, weak_calls, prm_calls
        Number of calls.
    """

    strong_tokens: int = 0
    weak_tokens: int = 0
    discarded_tokens: int = 0
    prm_tokens: int = 0
    strong_prefill_tokens: int = 0
    strong_calls: int = 0
    weak_calls: int = 0
    prm_calls: int = 0


COSTS = tuple(Costs.__dataclass_fields__)


@dataclass(frozen=True, slots=True)
class Path:
    """The steps of n solutions: all of shape (n, T), but `steps`; columns from `steps` on mean nothing.

    Attributes
    ----------
    steps
        Shape (n,); number of kept steps.
    drafted
        Whether the weak model drafted the step.
    scored
        Whether the PRM read the draft.
    regenerated
        Whether the strong model wrote the step that was kept.
    draft_tokens, prm_tokens
        Decoded for the draft, read to score it.
    strong_tokens, strong_prefill_tokens
        Decoded and read by the strong model.
    """

    steps: Integers
    drafted: Booleans
    scored: Booleans
    regenerated: Booleans
    draft_tokens: Integers
    prm_tokens: Integers
    strong_tokens: Integers
    strong_prefill_tokens: Integers


def costs_of(path: Path) -> dict[str, Integers]:
    """Add up what n solutions cost: the fields of `Costs`, each of shape (n,).

    A kept step costs the draft's tokens; a regenerated one those of the draft, for nothing, and of the strong model.
    Scores of the strong model's steps cost nothing more: the next call of the PRM reads them anyway.
    """
    there = np.arange(path.drafted.shape[1]) < path.steps[:, None]
    strong, weak, scored = (there & part for part in (path.regenerated, path.drafted, path.scored))

    def total(values: Integers, where: Booleans) -> Integers:
        return np.asarray(np.sum(values, axis=1, where=where, dtype=np.int64))

    return {
        "strong_tokens": total(path.strong_tokens, strong),
        "weak_tokens": total(path.draft_tokens, weak & ~strong),
        "discarded_tokens": total(path.draft_tokens, weak & strong),
        "prm_tokens": total(path.prm_tokens, scored),
        "strong_prefill_tokens": total(path.strong_prefill_tokens, strong),
        "strong_calls": strong.sum(axis=1),
        "weak_calls": weak.sum(axis=1),
        "prm_calls": scored.sum(axis=1),
    }
