"""Splits that are disjoint by construction, and the record of what is in them."""

from __future__ import annotations

import hashlib
import random
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import accumulate
from pathlib import Path
from typing import Any

from trim.config.datasets import ArithmeticFamily, FileDataset, Split
from trim.errors import InputError
from trim.problems.arithmetic import draw_problems
from trim.problems.problem import Problem

# Percent of the arithmetic programs, by hash, that belong to each split of every dataset.
SPLIT_RANGES: Mapping[str, range] = {
    "lm_train": range(0, 70),
    "prm_train": range(70, 80),
    "router_train": range(80, 87),
    "dev": range(87, 90),
    "test": range(90, 100),
}
FRUITLESS_DRAWS = 10_000


def split_of(fingerprint: str) -> str:
    """Name the split that an arithmetic program belongs to, in whatever dataset and wording."""
    bucket = int(fingerprint[:8], 16) % 100
    return next(split for split, buckets in SPLIT_RANGES.items() if bucket in buckets)


def draw_split(name: str, family: ArithmeticFamily, split: str, count: int, seed: int) -> list[Problem]:
    """Draw distinct problems of one split of a family.

    Raises
    ------
    InputError
        When the family is too small: so many draws gave nothing new.
    """
    found: dict[str, Problem] = {}
    problems = draw_problems(name, family, random.Random(f"{seed}/{name}/{split}"))
    fruitless = 0
    while len(found) < count:
        problem = next(problems)
        if split_of(problem.fingerprint) == split and problem.fingerprint not in found:
            found[problem.fingerprint] = problem
            fruitless = 0
        elif (fruitless := fruitless + 1) == FRUITLESS_DRAWS:
            raise InputError(
                f"datasets.{name}: only {len(found)} distinct problems found for split {split!r}, {count} wanted; "
                f"lower sizes.{split} or make the family larger (min_steps, max_steps)"
            )
    return [replace(problem, id=f"{name}-{split}-{i}") for i, problem in enumerate(found.values())]


def divide(problems: Sequence[Problem], shares: Mapping[Split, float]) -> dict[str, list[Problem]]:
    """Give each split its share of the problems by hash: where one goes depends on its text and the shares alone."""
    parts: dict[str, list[Problem]] = {split: [] for split in shares}
    # Rounded, so that shares that add up to one leave nobody out.
    ends = [(split, round(end, 9)) for split, end in zip(shares, accumulate(shares.values()), strict=True)]
    for problem in problems:
        place = int(problem.fingerprint[:8], 16) / 16**8
        split = next((split for split, end in ends if place < end), None)
        if split is not None:
            parts[split].append(problem)
    return parts


def leave_out(
    problems: Sequence[Problem], others: Mapping[str, Sequence[Problem]]
) -> tuple[list[Problem], dict[str, int]]:
    """Drop problems that are in other datasets, or were there before.

    Returns
    -------
    The rest, and how many are also in which dataset: their own where they are repetitions.
    """
    owner = {problem.fingerprint: name for name, theirs in others.items() for problem in theirs}
    kept, dropped = [], Counter[str]()
    for problem in problems:
        if problem.fingerprint in owner:
            dropped[owner[problem.fingerprint]] += 1
        else:
            owner[problem.fingerprint] = problem.dataset
            kept.append(problem)
    return kept, dict(dropped)


def check_disjoint(splits: Mapping[str, Sequence[Problem]]) -> None:
    """Check that no problem is in two splits.

    Raises
    ------
    InputError
        Names the first two splits that overlap, and the problems.
    """
    owner: dict[str, tuple[str, Problem]] = {}
    for split, problems in splits.items():
        shared = [p for p in problems if owner.setdefault(p.fingerprint, (split, p))[0] != split]
        if shared:
            other, twin = owner[shared[0].fingerprint]
            raise InputError(
                f"splits {other!r} and {split!r} share {len(shared)} of their problems, the first of them "
                f"{twin.id} and {shared[0].id}; remove it from one of the two, or name the tested dataset under "
                "`without` of the other"
            )


def manifest(
    name: str,
    dataset: ArithmeticFamily | FileDataset,
    splits: Mapping[str, Sequence[Problem]],
    files: Mapping[str, Path],
    **origin: Any,
) -> dict[str, Any]:
    """Describe a prepared dataset: where it is from, and what each split's file holds.

    Parameters
    ----------
    name
        Name of the dataset, as in the config.
    dataset
        Its config.
    splits, files
        Problems and written file of each split.
    origin
        More to say about the source: its sha256, what was left out.
    """
    generated = isinstance(dataset, ArithmeticFamily)
    content: dict[str, Any] = {
        "dataset": name,
        "source": dataset.model_dump(mode="json"),
        "licence": dataset.licence if isinstance(dataset, FileDataset) else "generated by this project",
        **origin,
        "splits": {
            split: {
                "file": files[split].name,
                "problems": len(problems),
                "sha256": hashlib.sha256(files[split].read_bytes()).hexdigest(),
            }
            | ({"hash_percent": _percent(split)} if generated else {})
            for split, problems in splits.items()
        },
    }
    if generated:
        content["lm_train"] = {
            "hash_percent": _percent("lm_train"),
            "how": "no file: training draws programs of the family without end and keeps those of this range",
        }
    return content


def _percent(split: str) -> list[int]:
    """Return first and last percent of a split's hash range."""
    return [SPLIT_RANGES[split][0], SPLIT_RANGES[split][-1]]
