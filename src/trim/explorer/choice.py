"""Which problems the explorer shows: some of every outcome, whether they split the routers or not."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from trim.arrays import Booleans, Floats, Integers


class Kind(NamedTuple):
    """An outcome, over all routers and budgets that are shown: how it is called, and what it means."""

    label: str
    meaning: str


KINDS: Mapping[str, Kind] = {
    "only-routing": Kind("only routing", "both models alone are wrong, a router is right"),
    "rescued": Kind("routing rescues", "the weak model alone is wrong, the strong one and a router are right"),
    "spoiled": Kind("routing spoils", "the weak model alone is right, a router is wrong"),
    "strong-only": Kind("only strong alone", "the weak model alone and all routers are wrong"),
    "all-fail": Kind("all fail", "both models alone and all routers are wrong"),
    "weak-right": Kind("weak alone right", "the weak model alone is right, and so are all routers"),
}
"""Kinds of outcome, those that say most first; every problem is of one kind."""


def outcome_kinds(correct: Floats, weak: Floats, strong: Floats) -> list[str]:
    """Return the kind of each problem.

    Parameters
    ----------
    correct
        Shape (problems, policies); whether routed paths end right, NaN where they leave the trees.
    weak, strong
        Shape (problems,); the same of both models alone.
    """
    some_right, some_wrong = (correct == 1).any(axis=1), (correct == 0).any(axis=1)
    return [
        ("spoiled" if wrong else "weak-right")
        if w == 1
        else ("rescued" if s == 1 else "only-routing")
        if right
        else ("strong-only" if s == 1 else "all-fail")
        for w, s, right, wrong in zip(weak, strong, some_right, some_wrong, strict=True)
    ]


def disagreements(decisions: Booleans, owner: Integers, problems: int) -> Integers:
    """Return how many states of each problem see routers decide differently at one budget, shape (problems,).

    Parameters
    ----------
    decisions
        Shape (states, routers, budgets).
    owner
        Shape (states,); problem of each.
    """
    split = np.any(decisions, axis=1) & ~np.all(decisions, axis=1)
    return np.bincount(owner[np.any(split, axis=1)], minlength=problems)


def choose(kinds: list[str], split: Integers, count: int) -> list[int]:
    """Choose problems: kinds take turns, and within a kind the problems are spread from most split to least.

    Returns
    -------
    At most `count` indices, in rising order.
    """
    order = np.argsort(-split, kind="stable").tolist()
    members = {kind: [i for i in order if kinds[i] == kind] for kind in KINDS}
    quota = dict.fromkeys(KINDS, 0)
    while sum(quota.values()) < min(count, len(kinds)):
        for kind in KINDS:
            if quota[kind] < len(members[kind]) and sum(quota.values()) < count:
                quota[kind] += 1
    chosen = [
        members[kind][i]
        for kind in KINDS
        for i in np.linspace(0, len(members[kind]) - 1, quota[kind]).round().astype(int)
    ]
    return sorted(chosen)
