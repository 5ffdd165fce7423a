"""Solve problems in their rollout trees: the engine's loop, for all episodes and routers at once.

What comes out is what `solve` gives, token for token; a property test holds the two together.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from itertools import pairwise

import numpy as np

from trim.models.protocols import Prefix
from trim.rollout.costs import Path, costs_of
from trim.rollout.history import Booleans, Floats, Histories, Integers, Observed, Reads, Router, WantsEveryDraft
from trim.rollout.trees import KEEP, REGENERATE, RolloutTrees

EPISODES_AT_A_TIME = 1 << 16


@dataclass(frozen=True, slots=True)
class Nodes:
    """Where n episodes stand: nodes of their trees, shape (n,)."""

    trees: RolloutTrees
    nodes: Integers

    def prefixes(self) -> Sequence[tuple[Prefix, int]]:
        """Return the prefix and the replicate of each."""
        roots = self.trees.nodes["root"][self.nodes].tolist()
        return [
            (self.trees.prefix(node), self.trees.replicate(root))
            for node, root in zip(self.nodes.tolist(), roots, strict=True)
        ]

    def of(self, rows: Integers) -> Nodes:
        """Return where some of them stand."""
        return Nodes(self.trees, self.nodes[rows])


@dataclass(frozen=True, slots=True)
class Rollout:
    """Episodes of one router, one for each tree: all of shape (trees,) unless said otherwise.

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
    strong_input_tokens, strong_cached_tokens, strong_cached_1024_tokens
        As in `Costs`.
    weak_input_tokens, weak_cached_tokens, prm_cached_tokens
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
    strong_input_tokens: Integers
    strong_cached_tokens: Integers
    strong_cached_1024_tokens: Integers
    weak_input_tokens: Integers
    weak_cached_tokens: Integers
    prm_cached_tokens: Integers


def roll_out(trees: RolloutTrees, router: Router) -> Rollout:
    """Solve every problem of rollout trees under one router."""
    return roll_out_all(trees, [router])[0]


def roll_out_all(trees: RolloutTrees, routers: Sequence[Router]) -> list[Rollout]:
    """Solve every problem of rollout trees under many routers side by side, and return the episodes of each.

    What one of them finds unknown is written in one batch with what the others do; a few trees at a
    time, so that the models still hold the states of the prefixes that they go on from.
    """
    roots = trees.roots()
    at_a_time = max(1, EPISODES_AT_A_TIME // max(len(routers), 1))
    parts = [_roll_out(trees, routers, roots[start : start + at_a_time]) for start in range(0, len(roots), at_a_time)]
    return [_joined(rollouts) for rollouts in zip(*parts, strict=True)]


def _joined(parts: Sequence[Rollout]) -> Rollout:
    return Rollout(*(np.concatenate([getattr(part, field.name) for part in parts]) for field in fields(Rollout)))


def _roll_out(trees: RolloutTrees, routers: Sequence[Router], roots: Integers) -> list[Rollout]:
    """Solve the problems of some trees: the episodes of the first router, then those of the second, and so on."""
    shape = n, width = len(roots) * len(routers), trees.max_steps
    owner = np.repeat(np.arange(len(routers)), len(roots))  # the router of each episode
    histories = Histories(n, width)
    # What each episode did at each step: where, whether there was a draft, and whether the strong model wrote.
    at, drafted, regenerated = np.zeros(shape, dtype=np.int64), np.zeros(shape, dtype=bool), np.zeros(shape, dtype=bool)
    steps = np.zeros(n, dtype=np.int64)
    episodes, nodes = np.arange(n), np.tile(roots, len(routers))  # those that go on, and where they stand
    for position in range(width):
        after_strong = regenerated[episodes, position - 1] if position else np.zeros(n, dtype=bool)
        bounds = np.searchsorted(owner[episodes], np.arange(len(routers) + 1))
        blocks = [np.arange(low, high) for low, high in pairwise(bounds.tolist())]
        wanted = np.concatenate([r.wants_drafts(after_strong[rows]) for r, rows in zip(routers, blocks, strict=True)])
        trees.draft(nodes[wanted])
        histories.draft(trees.drafts(nodes, wanted), episodes)
        places, regenerate = Nodes(trees, nodes), ~wanted
        for router, rows in zip(routers, blocks, strict=True):
            if (asked := rows[wanted[rows]]).size:
                regenerate[asked] = router.decide(histories.observed(episodes[asked], places.of(asked)))
        children = trees.follow(nodes, regenerate.astype(np.int64), drafted=False)
        histories.keep(regenerate, trees.outcome(nodes, regenerate, children), episodes)
        at[episodes, position], steps[episodes] = nodes, position + 1
        drafted[episodes, position], regenerated[episodes, position] = wanted, regenerate
        episodes, nodes = episodes[children >= 0], children[children >= 0]
        if not episodes.size:
            break
    read = np.array([router.reads is not Reads.NOTHING for router in routers])[owner]
    ends = np.arange(n), steps - 1
    columns = {"last": at[ends], "action": regenerated[ends].astype(np.int64), "steps": steps, "strong": regenerated}
    columns |= costs_of(_path(trees, at, steps, drafted, drafted & read[:, None], regenerated))
    cut = [slice(i * len(roots), (i + 1) * len(roots)) for i in range(len(routers))]
    return [Rollout(**{name: values[block] for name, values in columns.items()}) for block in cut]


def _path(
    trees: RolloutTrees, at: Integers, steps: Integers, drafted: Booleans, scored: Booleans, regenerated: Booleans
) -> Path:
    """Look up what the steps at nodes, shape (n, T), cost."""
    nodes = trees.nodes
    tokens, prompts, prm_tokens = nodes["tokens"], nodes["prompt_tokens"], nodes["prm_tokens"]
    return Path(
        steps,
        drafted,
        scored,
        regenerated,
        draft_tokens=tokens[at, KEEP],
        draft_prefill_tokens=prompts[at, KEEP],
        prm_tokens=prm_tokens[at],
        strong_tokens=tokens[at, REGENERATE],
        strong_prefill_tokens=prompts[at, REGENERATE],
    )


EXPLORED_SHARES = (0.0, 1.0, 0.3)


@dataclass(frozen=True, slots=True, eq=False)
class _AtRandom(WantsEveryDraft):
    share: float
    rng: np.random.Generator
    reads = Reads.NOTHING

    def decide(self, observed: Observed) -> Booleans:
        return self.rng.random(len(observed.position)) < self.share


def explore(trees: RolloutTrees) -> None:
    """Solve with random decisions: never, always and sometimes the strong model."""
    rng = np.random.default_rng(0)
    roll_out_all(trees, [_AtRandom(share, rng) for share in EXPLORED_SHARES])


def outcomes(trees: RolloutTrees, rollout: Rollout) -> tuple[Floats, Floats]:
    """Return, by problem and averaged over replicates, correctness and strong tokens: both of shape (problems,)."""
    correct = trees.nodes["correct"][rollout.last, rollout.action]
    shape = len(trees.problems), trees.replicates
    return correct.reshape(shape).mean(axis=1), rollout.strong_tokens.reshape(shape).mean(axis=1)
