"""Solve problems by walking a forest: the engine's loop, for all episodes at once.

What comes out is what `solve` gives, token for token; a test holds the two together.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Protocol, runtime_checkable

import numpy as np

from trim.rollout.engine import Costs, Reads
from trim.rollout.history import Booleans, Drafts, Floats, Histories, Integers, Observed, Outcome, WantsEveryDraft
from trim.rollout.trees import KEEP, REGENERATE, Forest


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


@runtime_checkable
class Walker(Protocol):
    """What decides on a walk: a router, or something that knows more of the forest than a router may."""

    @property
    def reads(self) -> Reads:
        """Which scores it looks at."""
        ...

    def wants_drafts(self, after_strong: Booleans) -> Booleans:
        """Tell of each episode whether the weak model shall draft the next step, as `BatchRouter` does."""
        ...

    def decide_at(self, nodes: Integers, observed: Observed) -> Booleans:
        """Tell of the draft at each node whether the strong model is to write the step, shape (n,)."""
        ...


@dataclass(frozen=True, slots=True, eq=False)
class ByHistory:
    """A router on a walk: of the nodes it sees nothing."""

    router: BatchRouter

    @property
    def reads(self) -> Reads:
        """Which scores the router looks at."""
        return self.router.reads

    def wants_drafts(self, after_strong: Booleans) -> Booleans:
        """Ask the router."""
        return self.router.wants_drafts(after_strong)

    def decide_at(self, nodes: Integers, observed: Observed) -> Booleans:
        """Ask the router."""
        return self.router.decide_all(observed)


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
LANES_AT_A_TIME = 1 << 16


def walk(forest: Forest, router: BatchRouter) -> Walk:
    """Solve every problem of a forest under one router."""
    return walk_all(forest, [ByHistory(router)])[0]


def walk_all(forest: Forest, walkers: Sequence[Walker]) -> list[Walk]:
    """Solve every problem of a forest under many routers side by side, and return a walk for each.

    What one of them finds unknown is written in one batch with what the others do; a few trees at a
    time, so that the models still hold the states of the prefixes that they go on from.
    """
    roots = forest.roots
    trees = max(1, LANES_AT_A_TIME // max(len(walkers), 1))
    parts = [_walk(forest, walkers, roots[start : start + trees]) for start in range(0, len(roots), trees)]
    return [_joined(walks) for walks in zip(*parts, strict=True)]


def _joined(walks: Sequence[Walk]) -> Walk:
    return Walk(*(np.concatenate([getattr(walked, field.name) for walked in walks]) for field in fields(Walk)))


def _walk(forest: Forest, walkers: Sequence[Walker], roots: Integers) -> list[Walk]:
    """Solve the problems of some trees; lanes stand side by side, walker by walker."""
    blocks = [slice(i * len(roots), (i + 1) * len(roots)) for i in range(len(walkers))]
    nodes = np.tile(roots, len(walkers))
    n = len(nodes)
    lanes = np.arange(n)
    read = np.repeat([walker.reads is not Reads.NOTHING for walker in walkers], len(roots))
    histories = Histories(n, forest.max_steps)
    live = np.ones(n, dtype=bool)
    last, action = np.zeros(n, dtype=np.int64), np.zeros(n, dtype=np.int64)
    strong = np.zeros((n, forest.max_steps), dtype=bool)
    spent = {name: np.zeros(n, dtype=np.int64) for name in COSTS}
    while live.any():
        position = forest.nodes["position"][nodes].astype(np.int64)
        after_strong = (position > 0) & strong[lanes, position - 1]
        wanted = [walker.wants_drafts(after_strong[block]) for walker, block in zip(walkers, blocks, strict=True)]
        drafted = live & np.concatenate(wanted)
        forest.draft(nodes[drafted])
        score, tokens, final = (forest.nodes[name][nodes, KEEP] for name in ("score", "tokens", "final"))
        observed = histories.observe(Drafts(score, tokens, position, final))
        regenerate = live & ~drafted
        for walker, block in zip(walkers, blocks, strict=True):
            asked = block.start + np.flatnonzero(drafted[block])
            if asked.size:
                regenerate[asked] = walker.decide_at(nodes[asked], observed.of_lanes(asked))
        # Lanes that are done stand still: what they did last counts for nothing more and grows nothing.
        actions = np.where(live, regenerate, action).astype(np.int64)
        children = forest.follow(nodes, actions, drafted=False)
        at = forest.nodes[nodes]
        tokens, score = at["tokens"][lanes, actions], at["score"][lanes, actions]
        kept = live & ~regenerate
        spent["strong_tokens"] += np.where(regenerate, tokens, 0)
        spent["strong_prefill_tokens"] += np.where(regenerate, at["prompt_tokens"][:, REGENERATE], 0)
        spent["strong_calls"] += regenerate
        spent["weak_tokens"] += np.where(kept, tokens, 0)
        spent["discarded_tokens"] += np.where(regenerate & drafted, at["tokens"][:, KEEP], 0)
        spent["weak_calls"] += drafted
        spent["prm_tokens"] += np.where(drafted & read, at["prm_tokens"], 0)
        spent["prm_calls"] += drafted & read
        strong[lanes, position] |= regenerate
        outcome = Outcome(np.where(regenerate, tokens, 0), score, tokens, children < 0, at["correct"][lanes, actions])
        histories.keep(position, regenerate, outcome)
        last[live], action[live] = nodes[live], actions[live]
        live &= ~outcome.ended
        nodes = np.where(live, children, nodes)
    steps = forest.nodes["position"][last].astype(np.int64) + 1
    walked = {"last": last, "action": action, "steps": steps, "strong": strong, **spent}
    return [Walk(**{name: values[block] for name, values in walked.items()}) for block in blocks]


EXPLORED_SHARES = (0.0, 1.0, 0.3)


@dataclass(frozen=True, slots=True, eq=False)
class _AtRandom(WantsEveryDraft):
    share: float
    rng: np.random.Generator
    reads = Reads.NOTHING

    def decide_at(self, nodes: Integers, observed: Observed) -> Booleans:
        return self.rng.random(len(nodes)) < self.share


def explore(forest: Forest) -> None:
    """Walk with random decisions: never, always and sometimes the strong model."""
    rng = np.random.default_rng(0)
    walk_all(forest, [_AtRandom(share, rng) for share in EXPLORED_SHARES])


def outcomes(forest: Forest, walked: Walk) -> tuple[Floats, Floats]:
    """Return, by problem and averaged over replicates, correctness and strong tokens: both of shape (problems,)."""
    correct = forest.nodes["correct"][walked.last, walked.action]
    shape = len(forest.problems), forest.replicates
    return correct.reshape(shape).mean(axis=1), walked.strong_tokens.reshape(shape).mean(axis=1)
