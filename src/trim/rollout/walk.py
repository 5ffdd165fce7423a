"""Solve problems by walking a forest: the engine's loop, for all episodes at once.

What comes out is what `solve` gives, token for token; a test holds the two together.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from trim.rollout.engine import Costs, Reads
from trim.rollout.forest import KEEP, REGENERATE, Forest
from trim.rollout.observed import Booleans, Drafts, Floats, Histories, Integers, Observed, Outcome


class BatchRouter(Protocol):
    """A router that decides on many drafts at once."""

    @property
    def reads(self) -> Reads:
        """Which scores it looks at."""
        ...

    def wants_drafts(self, after_strong: Booleans) -> Booleans:
        """Tell of each episode whether the weak model shall draft the next step, shape (n,).

        Parameters
        ----------
        after_strong
            Shape (n,); whether the strong model wrote the step before.
        """
        ...

    def decide_all(self, observed: Observed) -> Booleans:
        """Tell of each draft whether the strong model is to write the step, shape (n,)."""
        ...


@dataclass(frozen=True, slots=True)
class Walk:
    """Episodes of one operating point, one for each tree of a forest: all of shape (trees,) unless said otherwise.

    Attributes
    ----------
    last, action
        Node at which each episode ended, and what was done there.
    steps
        Number of kept steps.
    strong
        Shape (trees, max_steps); who wrote each step.
    strong_tokens, weak_tokens, discarded_tokens, prm_tokens, strong_prefill_tokens
        As in `Costs`.
    strong_calls, weak_calls, prm_calls
        As in `Costs`.
    """

    last: Integers
    action: Integers
    steps: Integers
    strong: Booleans
    strong_tokens: Integers
    weak_tokens: Integers
    discarded_tokens: Integers
    prm_tokens: Integers
    strong_prefill_tokens: Integers
    strong_calls: Integers
    weak_calls: Integers
    prm_calls: Integers


COSTS = tuple(Costs.__dataclass_fields__)


def walk(forest: Forest, router: BatchRouter) -> Walk:
    """Solve every problem of a forest under one router."""
    return walk_by(forest, lambda nodes, observed: router.decide_all(observed), router.wants_drafts, router.reads)


def walk_by(
    forest: Forest,
    decide: Callable[[Integers, Observed], Booleans],
    wants_drafts: Callable[[Booleans], Booleans] = np.ones_like,
    reads: Reads = Reads.HISTORY,
) -> Walk:
    """Solve every problem of a forest; `decide` sees the nodes, which no router does, and the histories.

    Where no draft is wanted the strong model writes the step, whatever `decide` says.
    """
    nodes = forest.roots.copy()
    n = len(nodes)
    lanes = np.arange(n)
    histories = Histories(n, forest.max_steps)
    live = np.ones(n, dtype=bool)
    last, action = np.zeros(n, dtype=np.int64), np.zeros(n, dtype=np.int64)
    strong = np.zeros((n, forest.max_steps), dtype=bool)
    spent = {name: np.zeros(n, dtype=np.int64) for name in COSTS}
    while live.any():
        position = forest.nodes["position"][nodes].astype(np.int64)
        drafted = live & wants_drafts((position > 0) & strong[lanes, position - 1])
        forest.draft(nodes[drafted])
        at = forest.nodes[nodes]
        drafts = Drafts(at["score"][:, KEEP], at["tokens"][:, KEEP], position, at["final"][:, KEEP])
        # Lanes that are done stand still and keep: their decisions count for nothing and grow nothing.
        regenerate = (decide(nodes, histories.observe(drafts)) | ~drafted) & live
        actions = np.where(live, regenerate, action).astype(np.int64)
        children = forest.follow(nodes, actions, drafted=False)
        at = forest.nodes[nodes]
        tokens, score = at["tokens"][lanes, actions], at["score"][lanes, actions]
        kept = live & ~regenerate
        spent["strong_tokens"] += np.where(regenerate, tokens, 0)
        spent["strong_prefill_tokens"] += np.where(regenerate, at["prompt_tokens"][:, REGENERATE], 0)
        spent["strong_calls"] += regenerate
        spent["weak_tokens"] += np.where(kept, tokens, 0)
        spent["discarded_tokens"] += np.where(regenerate & drafted, drafts.tokens, 0)
        spent["weak_calls"] += drafted
        if reads is not Reads.NOTHING:
            spent["prm_tokens"] += np.where(drafted, at["prm_tokens"], 0)
            spent["prm_calls"] += drafted
        strong[lanes, drafts.position] |= regenerate
        outcome = Outcome(np.where(regenerate, tokens, 0), score, tokens, children < 0, at["correct"][lanes, actions])
        histories.keep(drafts.position, regenerate, outcome)
        last[live], action[live] = nodes[live], actions[live]
        live &= ~outcome.ended
        nodes = np.where(live, children, nodes)
    steps = forest.nodes["position"][last].astype(np.int64) + 1
    return Walk(last, action, steps, strong, **spent)


EXPLORED_SHARES = (0.0, 1.0, 0.3)


def explore(forest: Forest) -> None:
    """Walk with random decisions: never, always and sometimes the strong model."""
    rng = np.random.default_rng(0)
    for share in EXPLORED_SHARES:
        walk_by(forest, lambda nodes, observed, share=share: rng.random(len(nodes)) < share)  # type: ignore[misc]


def outcomes(forest: Forest, walked: Walk) -> tuple[Floats, Floats]:
    """Return, by problem and averaged over replicates, correctness and strong tokens: both of shape (problems,)."""
    correct = forest.nodes["correct"][walked.last, walked.action]
    shape = len(forest.problems), forest.replicates
    return correct.reshape(shape).mean(axis=1), walked.strong_tokens.reshape(shape).mean(axis=1)
