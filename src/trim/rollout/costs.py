"""What a solution costs, counted from the steps on its path: for one episode or for many, in one place."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from trim.arrays import Booleans, Integers


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
    strong_input_tokens, weak_input_tokens
        Read by the model, the whole input of each call that starts a generation. Steps that a model writes one behind
        the other with nothing asked in between, no draft, no score, are one generation.
    strong_cached_tokens, weak_cached_tokens, prm_cached_tokens
        Of what the model reads (of `prm_tokens`, for the PRM), what it has read or written before in this episode.
    strong_cached_1024_tokens
        The same, of prefixes of at least 1024 tokens: APIs cache no shorter ones.
    """

    strong_tokens: int = 0
    weak_tokens: int = 0
    discarded_tokens: int = 0
    prm_tokens: int = 0
    strong_prefill_tokens: int = 0
    strong_calls: int = 0
    weak_calls: int = 0
    prm_calls: int = 0
    strong_input_tokens: int = 0
    strong_cached_tokens: int = 0
    strong_cached_1024_tokens: int = 0
    weak_input_tokens: int = 0
    weak_cached_tokens: int = 0
    prm_cached_tokens: int = 0


LEAST_CACHED = 1024
"""Tokens of the shortest prefix that Anthropic and OpenAI cache."""

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
    draft_tokens, draft_prefill_tokens
        Decoded and read by the weak model.
    prm_tokens
        Read to score the draft.
    strong_tokens, strong_prefill_tokens
        Decoded and read by the strong model.
    """

    steps: Integers
    drafted: Booleans
    scored: Booleans
    regenerated: Booleans
    draft_tokens: Integers
    draft_prefill_tokens: Integers
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
    strong_starts = strong & ~(_before(strong) & ~weak)
    weak_starts = weak & ~_before(weak & ~strong & ~scored)
    strong_known = _known(strong, path.strong_prefill_tokens, path.strong_tokens)
    weak_known = _known(weak, path.draft_prefill_tokens, np.where(strong, 0, path.draft_tokens))
    prm_known = _known(scored, path.prm_tokens, np.where(strong, -path.draft_tokens, 0))

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
        "strong_input_tokens": total(path.strong_prefill_tokens, strong_starts),
        "strong_cached_tokens": total(strong_known, strong_starts),
        "strong_cached_1024_tokens": total(strong_known, strong_starts & (strong_known >= LEAST_CACHED)),
        "weak_input_tokens": total(path.draft_prefill_tokens, weak_starts),
        "weak_cached_tokens": total(weak_known, weak_starts),
        "prm_cached_tokens": total(prm_known, scored),
    }


def _before(steps: Booleans) -> Booleans:
    """Return of each step whether the one before it is among the steps; all of shape (n, T)."""
    return np.asarray(np.pad(steps, ((0, 0), (1, 0)))[:, :-1])


def _known(calls: Booleans, read: Integers, added: Integers) -> Integers:
    """Return how much of its input a model knows at each call, all of shape (n, T).

    Parameters
    ----------
    added
        What a call leaves in the solution beyond its input: tokens that it wrote, less what was thrown away of these.
    """
    context = np.maximum.accumulate(np.where(calls, read + added, 0), axis=1)
    return np.asarray(np.minimum(np.pad(context, ((0, 0), (1, 0)))[:, :-1], read))
