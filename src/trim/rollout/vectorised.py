"""Solve problems in their rollout trees: the engine's loop, for all episodes and routers at once.

What comes out is what `solve` gives, token for token; a property test holds the two together.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from itertools import cycle, islice, pairwise

import numpy as np

from trim.arrays import Booleans, Floats, Integers
from trim.models.protocols import Prefix
from trim.progress import Progress
from trim.rollout.costs import Path, costs_of
from trim.rollout.history import Histories, Observed, Reads, Router, WantsEveryDraft
from trim.rollout.trees import KEEP, REGENERATE, TREES_AT_A_TIME, UNKNOWN, RolloutTrees

EPISODES_AT_A_TIME = 1 << 18


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


def roll_out_all(trees: RolloutTrees, routers: Sequence[Router], on_progress: Progress | None = None) -> list[Rollout]:
    """Solve every problem of rollout trees under many routers side by side, and return the episodes of each.

    What one of them finds unknown is written in one batch with what the others do; episodes do not depend on which
    trees are walked together.

    Parameters
    ----------
    on_progress
        Told how many steps are behind, and how many there are at most: those that an ended episode leaves out count
        as behind.
    """
    roots = trees.roots()
    parts, behind, most = [], 0, len(roots) * len(routers) * trees.max_steps

    def tell(more: int) -> None:
        if on_progress is not None:
            on_progress(behind + more, most)

    for part in _parts(trees, roots, len(routers)):
        parts.append(_roll_out(trees, routers, part, tell))
        behind += len(part) * len(routers) * trees.max_steps
    return [_joined(rollouts) for rollouts in zip(*parts, strict=True)]


def _parts(trees: RolloutTrees, roots: Integers, routers: int) -> list[Integers]:
    """Cut trees into parts of even size to walk one after the other.

    Arrays of histories bound a part; where models may be asked, also that they still hold the states of the prefixes
    that they go on from.
    """
    most = max(1, EPISODES_AT_A_TIME // max(routers, 1))
    if trees.pair is not None and not trees.closed and (trees.nodes["child"] == UNKNOWN).any():
        most = min(most, TREES_AT_A_TIME)
    return np.array_split(roots, max(1, -(-len(roots) // most)))


def _joined(parts: Sequence[Rollout]) -> Rollout:
    return Rollout(*(np.concatenate([getattr(part, field.name) for part in parts]) for field in fields(Rollout)))


def _roll_out(
    trees: RolloutTrees, routers: Sequence[Router], roots: Integers, tell: Callable[[int], None] = lambda steps: None
) -> list[Rollout]:
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
        needed = wanted
        if trees.closed:
            # Where these hold no draft, there is none to look at; where they hold no strong step, a draft is kept.
            wanted &= trees.nodes["tokens"][nodes, KEEP] != UNKNOWN
            needed = wanted | ~trees.knows(nodes, np.ones_like(nodes))
        trees.draft(nodes[needed])
        histories.draft(trees.drafts(nodes, needed), episodes)
        places, regenerate = Nodes(trees, nodes), ~wanted
        for router, rows in zip(routers, blocks, strict=True):
            if (asked := rows[wanted[rows]]).size:
                regenerate[asked] = router.decide(histories.observed(episodes[asked], places.of(asked)))
        actions = trees.possible(nodes, regenerate.astype(np.int64))
        regenerate, children = actions == REGENERATE, trees.follow(nodes, actions, drafted=False)
        histories.keep(trees.outcome(nodes, regenerate, children), episodes)
        at[episodes, position], steps[episodes] = nodes, position + 1
        drafted[episodes, position], regenerated[episodes, position] = needed, regenerate
        episodes, nodes = episodes[children >= 0], children[children >= 0]
        tell((n - len(episodes)) * width + len(episodes) * (position + 1))
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
FURTHER_SHARES = (0.1, 0.5, 0.2, 0.05, 0.7, 0.1, 0.3)
FURTHER_ROUNDS = 40
ENOUGH = 0.98
"""Share of the nodes that are allowed: the last ones, in few trees, take slow models as long as many."""
LED_BY_SCORES, BRANCHED_OFF = 0.7, 0.25
"""Chosen on trees of arithmetic problems, of 137 nodes: within 60, 4 % of the decisions of a sweep of thresholds leave
what was explored, and 9 % after as many random paths."""


@dataclass(frozen=True, slots=True, eq=False)
class _AtRandom(WantsEveryDraft):
    share: float
    rng: np.random.Generator
    reads = Reads.NOTHING

    def decide(self, observed: Observed) -> Booleans:
        return self.rng.random(len(observed.position)) < self.share


@dataclass(frozen=True, slots=True, eq=False)
class _BranchingOff(WantsEveryDraft):
    """Regenerates drafts with low scores rather than others; now and then takes the one action that is not known.

    Attributes
    ----------
    threshold
        Regenerate where a number in [0, 1), in part the score's rank and in part drawn, lies below it.
    draws
        Shape (2, trees, max_steps), even over [0, 1): so that no decision depends on what is solved beside it.
    explored
        Number of nodes that were there before: an episode branches off from what others left, not from its own path.
    scores
        Of their drafts, rising.
    """

    threshold: float
    draws: Floats
    explored: int
    scores: Floats
    reads = Reads.DRAFT

    def decide(self, observed: Observed) -> Booleans:
        assert isinstance(observed.places, Nodes)
        nodes = observed.places.nodes
        at = observed.places.trees.nodes[nodes]
        drawn, branches = self.draws[:, at["root"], at["position"]]
        rank = np.searchsorted(self.scores, observed.score) / len(self.scores)
        regenerate = LED_BY_SCORES * rank + (1 - LED_BY_SCORES) * drawn < self.threshold
        known = at["child"] != UNKNOWN
        half_known = (known[:, KEEP] != known[:, REGENERATE]) & (nodes < self.explored)
        return np.asarray(np.where(half_known & (branches < BRANCHED_OFF), known[:, KEEP], regenerate))


def explore(trees: RolloutTrees, budget: int | None = None, on_progress: Progress | None = None) -> None:
    """Solve with random decisions: never, always and sometimes the strong model; and go on within a budget, if any.

    Routers compare keeping a draft with regenerating it along the paths that they take, and they regenerate drafts with
    low scores. So further episodes are led by the scores, in part, at one share after another; and where an episode
    comes by a prefix of which only one action is known, it takes the other now and then and goes on from there.

    Parameters
    ----------
    budget
        Nodes of a tree from which on no episode starts in it. The one that reached it goes on to its end, and the first
        three are always solved: the paths of both models alone are in every tree, and every path ends. A few trees may
        have fewer nodes (`ENOUGH`).
    on_progress
        Called with the nodes that were explored and those that are allowed.
    """
    rng = np.random.default_rng(0)
    roots = trees.roots()
    if budget is None:
        _roll_out(trees, [_AtRandom(share, rng) for share in EXPLORED_SHARES], roots)
        return
    unfinished, explored = np.ones(len(roots), dtype=bool), 0
    for shares in [EXPLORED_SHARES, *((share,) for share in islice(cycle(FURTHER_SHARES), FURTHER_ROUNDS))]:
        scores, shape = np.sort(trees.nodes["score"][:, KEEP]), (2, len(roots), trees.max_steps)
        routers = [_BranchingOff(share, rng.random(shape), explored, scores) for share in shares]
        for part in _parts(trees, roots[unfinished], len(routers)):
            _roll_out(trees, routers, part)
        sizes, explored = np.bincount(trees.nodes["root"], minlength=len(roots)), len(trees)
        whole = trees.complete()
        allowed = np.where(whole, np.minimum(sizes, budget), budget)
        unfinished = (sizes < budget) & ~whole
        if on_progress is not None:
            on_progress(int(np.minimum(sizes, budget).sum()), int(allowed.sum()))
        if np.minimum(sizes, allowed).sum() >= ENOUGH * allowed.sum():
            break


def outcomes(trees: RolloutTrees, rollout: Rollout) -> tuple[Floats, Floats]:
    """Return, by problem and averaged over replicates, correctness and strong tokens: both of shape (problems,)."""
    correct = trees.nodes["correct"][rollout.last, rollout.action]
    shape = len(trees.problems), trees.replicates
    return correct.reshape(shape).mean(axis=1), rollout.strong_tokens.reshape(shape).mean(axis=1)
