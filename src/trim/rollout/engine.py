"""How a solution grows: the loop of the paper, run for many problems at once.

`solve` is TRIM (paper, section 3): the weak model drafts a step, the PRM scores it, the
router keeps it or has the strong model write it again, until a final step is kept.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol

from trim.errors import BackendError, StoreError
from trim.models.protocols import ModelPair, Prefix, Score, Step, StepScorer
from trim.models.store import MissingEntries
from trim.problems.grading import extract_answer
from trim.problems.problem import Problem

CONCURRENT_EPISODES = 4096


class Action(StrEnum):
    """What a router does with a draft."""

    KEEP = "keep"
    REGENERATE = "regenerate"


class Author(StrEnum):
    """Who wrote a kept step."""

    WEAK = "weak"
    STRONG = "strong"


class Reads(StrEnum):
    """Which scores a router looks at; scores nobody looks at are not computed."""

    NOTHING = "nothing"
    DRAFT = "draft"
    HISTORY = "history"


@dataclass(frozen=True, slots=True)
class KeptStep:
    """A step of an episode, with all that was spent on it.

    Attributes
    ----------
    step
        The step that was kept.
    author
        Who wrote it.
    score
        PRM score of the kept step; None where no router asked for it.
    draft
        The weak model's draft; None where the router wanted none.
    draft_score
        PRM score of the draft; None where it was not read.
    """

    step: Step
    author: Author
    score: float | None
    draft: Step | None
    draft_score: float | None


@dataclass(slots=True)
class History:
    """What a router may look at when it decides: the problem and the steps kept so far."""

    problem: Problem
    replicate: int
    prefix: Prefix
    max_steps: int
    kept: list[KeptStep] = field(default_factory=list)

    def is_last(self, step: Step) -> bool:
        """Tell whether the episode ends if this step is kept."""
        return step.is_final or len(self.kept) + 1 == self.max_steps


class Router(Protocol):
    """Decides of each draft whether it is kept."""

    @property
    def reads(self) -> Reads:
        """Which scores `decide` needs."""
        ...

    def wants_draft(self, history: History) -> bool:
        """Tell whether the weak model shall draft the next step; if not, the strong model writes it."""
        ...

    def decide(self, history: History, draft: Step, score: float | None) -> Action:
        """Keep the draft or have the strong model write the step again."""
        ...


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


@dataclass(frozen=True, slots=True)
class Episode:
    """One problem solved under one router."""

    problem: Problem
    replicate: int
    kept: tuple[KeptStep, ...]
    costs: Costs

    @property
    def answer(self) -> str | None:
        """The boxed answer, if the solution holds one."""
        return extract_answer("".join(kept.step.text for kept in self.kept[-2:]))


async def solve(problem: Problem, router: Router, pair: ModelPair, replicate: int, max_steps: int) -> Episode:
    """Solve one problem under one router (paper, section 3)."""
    history = History(problem, replicate, Prefix.of(problem.text), max_steps)
    costs = _CostMeter()
    while True:
        prefix = history.prefix
        draft, draft_score = None, None
        action = Action.REGENERATE
        if router.wants_draft(history):
            draft = await pair.weak.step(prefix, replicate)
            if router.reads is not Reads.NOTHING:
                draft_score = costs.read(await _prm(pair).score(prefix, draft.text))
            action = router.decide(history, draft, draft_score)
        costs.drafted(draft, kept=action is Action.KEEP)
        if draft is not None and action is Action.KEEP:
            kept = KeptStep(draft, Author.WEAK, draft_score, draft, draft_score)
        else:
            step = costs.regenerated(await pair.strong.step(prefix, replicate))
            score = None
            if router.reads is Reads.HISTORY and not history.is_last(step):
                # The next call reads this step anyway, and returns its score beside the draft's: nothing to add.
                score = (await _prm(pair).score(prefix, step.text)).value
            kept = KeptStep(step, Author.STRONG, score, draft, draft_score)
        ended = history.is_last(kept.step)
        history.kept.append(kept)
        if ended:
            return Episode(problem, replicate, tuple(history.kept), costs.total())
        history.prefix = prefix.extend(kept.step.text)


def _prm(pair: ModelPair) -> StepScorer:
    if pair.prm is None:
        raise BackendError("the router reads PRM scores, but this pair has no PRM")
    return pair.prm


class _CostMeter:
    """Adds up what an episode spends."""

    def __init__(self) -> None:
        self._spent = dict.fromkeys(Costs.__dataclass_fields__, 0)

    def drafted(self, draft: Step | None, *, kept: bool) -> None:
        if draft is not None:
            self._spent["weak_tokens" if kept else "discarded_tokens"] += draft.tokens
            self._spent["weak_calls"] += 1

    def regenerated(self, step: Step) -> Step:
        self._spent["strong_tokens"] += step.tokens
        self._spent["strong_prefill_tokens"] += step.prompt_tokens
        self._spent["strong_calls"] += 1
        return step

    def read(self, score: Score) -> float:
        self._spent["prm_tokens"] += score.prompt_tokens
        self._spent["prm_calls"] += 1
        return score.value

    def total(self) -> Costs:
        return Costs(**self._spent)


@dataclass(frozen=True, slots=True)
class Run:
    """A wish: this problem under this router, in this replicate."""

    problem: Problem
    router: Router
    replicate: int


async def _solve_all(
    runs: Sequence[Run], pair: ModelPair, max_steps: int, on_progress: Callable[[int, int], None] | None
) -> list[Episode]:
    episodes: list[Episode | None] = [None] * len(runs)
    todo = iter(enumerate(runs))
    done = missing = 0

    async def work() -> None:
        nonlocal done, missing
        for index, run in todo:
            try:
                episodes[index] = await solve(run.problem, run.router, pair, run.replicate, max_steps)
            except MissingEntries:
                missing += 1
            done += 1
            if on_progress is not None:
                on_progress(done, len(runs))

    workers = (work() for _ in range(min(CONCURRENT_EPISODES, len(runs))))
    for failure in await asyncio.gather(*workers, return_exceptions=True):  # what the others ask for may be paid for
        if failure is not None:
            raise failure
    if missing:
        raise StoreError(
            f"offline: {missing} of {len(runs)} episodes need steps or scores that the step store does not hold; "
            "set offline: false and run where the models are, or fetch the complete store"
        )
    return [episode for episode in episodes if episode is not None]


def solve_all(
    runs: Iterable[Run],
    pair: ModelPair,
    max_steps: int,
    on_progress: Callable[[int, int], None] | None = None,
) -> list[Episode]:
    """Solve many problems at once and return the episodes in the order of the runs.

    Runs of one problem should stand together: they share prefixes, and the states of
    live prefixes are what a backend keeps in memory. An error of one episode is raised when the others have ended.

    Raises
    ------
    StoreError
        Offline, when the store lacks what the runs need; counts the episodes.
    """
    return asyncio.run(_solve_all(list(runs), pair, max_steps, on_progress))
