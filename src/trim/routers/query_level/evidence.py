"""What query-level baselines learn from and decide on: the outcomes of whole solutions of P problems.

Each problem has N independent weak solutions, of which the first R have a strong solution beside
them. The others serve the baselines that sample the weak model more than once. What the weak
solution of replicate r is verified with, or competes with, are its neighbours r + 1, r + 2, ...
modulo N: independent samples all of them, so that none need be drawn for one replicate alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from trim.arrays import Booleans, Floats, Integers

SUMMARIES = ("minimum", "product", "last", "mean")
"""How the PRM scores of a solution's steps are put in a number each."""


def summarise(scores: Sequence[float]) -> list[float]:
    """Return the `SUMMARIES` of a solution's step scores."""
    values = np.asarray(scores, dtype=np.float64)
    return [float(values.min()), float(values.prod()), float(values[-1]), float(values.mean())]


@dataclass(frozen=True, slots=True, eq=False)
class Evidence:
    """The solutions of P problems.

    Attributes
    ----------
    texts
        The P problems.
    embeddings
        Shape (P, width); the problems as an encoder reads them, standardised on the training split.
    weak_correct
        Shape (P, N).
    strong_correct
        Shape (P, R).
    scores
        Shape (P, N, 4); `SUMMARIES` of each weak solution's PRM scores.
    agreement
        Shape (P, R); share of the samples whose answer is that of the weak solution.
    weak_tokens, weak_steps
        Shape (P, N); length of each weak solution.
    strong_tokens
        Shape (P, R); what a router must not know of the problem at hand, and learns from training problems.
    """

    texts: Sequence[str]
    embeddings: Floats
    weak_correct: Booleans
    strong_correct: Booleans
    scores: Floats
    agreement: Floats
    weak_tokens: Floats
    weak_steps: Floats
    strong_tokens: Floats

    @property
    def replicates(self) -> int:
        """Number of replicates R."""
        return int(self.strong_correct.shape[1])

    def summary(self, name: str) -> Floats:
        """Return one of the `SUMMARIES` of all weak solutions, shape (P, N)."""
        return np.asarray(self.scores[:, :, SUMMARIES.index(name)])

    def outcomes(self) -> Floats:
        """Return how often the strong model wins, neither does, and the weak one wins, shape (P, 3).

        Over all pairs of a weak and a strong solution; right beats wrong, all else is a tie.
        """
        weak, strong = self.weak_correct.mean(axis=1), self.strong_correct.mean(axis=1)
        strong_wins, weak_wins = strong * (1 - weak), weak * (1 - strong)
        return np.stack([strong_wins, 1 - strong_wins - weak_wins, weak_wins], axis=1)


class QueryRouter(Protocol):
    """A baseline that has been fitted."""

    def doubts(self, evidence: Evidence) -> Floats:
        """Return the doubt about each cheap option, in order of cost, shape (P, R, options).

        The first option whose doubt lies below the threshold is taken, the strong model if there is none.
        """
        ...


def every_replicate(scores: Floats, replicates: int) -> Floats:
    """Lay the scores of routers that see the problem alone, shape (P,), out as doubts about the weak model."""
    return np.repeat(scores[:, None, None], replicates, axis=1)


def unit(vectors: Floats) -> Floats:
    """Scale to unit length, as the embeddings are that RouteLLM works on."""
    return np.asarray(vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12))


def choose(doubts: Floats, threshold: float) -> Integers:
    """Return which option is taken, the number of options for the strong model; shape (P, R)."""
    trusted = doubts < threshold
    return np.asarray(np.where(trusted.any(axis=2), trusted.argmax(axis=2), doubts.shape[2]))


def choose_thresholds(doubts: Floats, count: int) -> list[float]:
    """Choose thresholds that send evenly spread shares of the problems to the strong model: at most `count`, rising.

    The lowest sends nearly all, the highest nearly none.
    """
    least = doubts.min(axis=2).ravel()
    shares = np.arange(1, count + 1) / (count + 1)
    # An observed value, not one between two: scores of few levels would else get thresholds that do the same.
    return sorted({float(value) for value in np.quantile(least, 1 - shares, method="higher")})
