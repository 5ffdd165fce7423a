"""The straightforward way, that of the released code: fixed batches, every step waits for the slowest member.

All drafts of a batch are written, then all are scored, then those that the router refuses are written again; a batch
ends with its longest solution. Nothing is remembered from one operating point to the next.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from trim.models.protocols import ModelPair, Prefix, Step
from trim.problems.problem import Problem
from trim.rollout.history import Drafts, Histories, Outcome, Reads, Router

BATCH = 32


@dataclass
class Spent:
    """What was written: tokens of all models, decisions, and problems solved."""

    tokens: int = 0
    decisions: int = 0
    problems: int = 0


async def solve_batch(
    problems: Sequence[Problem], router: Router, pair: ModelPair, replicate: int, max_steps: int, spent: Spent
) -> None:
    """Solve a batch of problems under a router that wants every draft."""
    assert pair.prm is not None
    prefixes = [Prefix.of(problem.text) for problem in problems]
    histories, live = Histories(len(problems), max_steps), np.arange(len(problems))
    spent.problems += len(problems)
    for position in range(max_steps):
        drafts: list[Step] = await asyncio.gather(*(pair.weak.step(prefixes[i], replicate) for i in live))
        scores = await _scores(pair, [prefixes[i] for i in live], drafts)
        tokens, final = np.array([step.tokens for step in drafts]), np.array([step.is_final for step in drafts])
        last = position + 1 == max_steps
        histories.draft(Drafts(scores, tokens, np.full(len(live), position), final | last), live)
        again = np.flatnonzero(router.decide(histories.observed(live)))
        written = await asyncio.gather(*(pair.strong.step(prefixes[live[i]], replicate) for i in again))
        kept = list(drafts)
        for i, step in zip(again.tolist(), written, strict=True):
            kept[i] = step
        if router.reads is Reads.HISTORY and len(again):
            scores[again] = await _scores(pair, [prefixes[live[i]] for i in again], written)
        spent.tokens += int(tokens.sum()) + sum(step.tokens for step in written)
        spent.decisions += len(live)
        ended = np.array([step.is_final or last for step in kept])
        counts, strong = np.array([step.tokens for step in kept]), np.isin(np.arange(len(live)), again)
        histories.keep(Outcome(strong, counts * strong, scores, counts, ended, np.zeros_like(ended)), live)
        for i, step in zip(live.tolist(), kept, strict=True):
            prefixes[i] = prefixes[i].extend(step.text)
        live = live[~ended]
        if not live.size:
            return


async def _scores(pair: ModelPair, prefixes: Sequence[Prefix], steps: Sequence[Step]) -> np.ndarray:
    assert pair.prm is not None
    asked = (pair.prm.score(prefix, step.text) for prefix, step in zip(prefixes, steps, strict=True))
    return np.array([score.value for score in await asyncio.gather(*asked)])


async def solve_in_lockstep(
    problems: Sequence[Problem], router: Router, pair: ModelPair, replicate: int, max_steps: int
) -> Spent:
    """Solve problems under one router, one batch after the other."""
    spent = Spent()
    for start in range(0, len(problems), BATCH):
        await solve_batch(problems[start : start + BATCH], router, pair, replicate, max_steps, spent)
    return spent
