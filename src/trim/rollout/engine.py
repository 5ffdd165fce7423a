"""How a solution grows: the loop of the paper, run for many problems at once.

`steps` is TRIM (paper, section 3): the weak model drafts a step, the PRM scores it, the
router keeps it or has the strong model write it again, until a final step is kept. `solve` waits for the last one.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from trim.arrays import Booleans, Integers
from trim.errors import BackendError, StoreError
from trim.models.protocols import ModelPair, Prefix, Score, Step
from trim.models.store import MissingEntries
from trim.problems.answers.boxes import solution_answer
from trim.problems.problem import Problem
from trim.progress import Progress
from trim.rollout.costs import Costs, Path, costs_of
from trim.rollout.history import Drafts, Histories, Outcome, Reads, Router

CONCURRENT_EPISODES = 4096


@dataclass(frozen=True, slots=True)
class KeptStep:
    """A step of an episode, with what led to it.

    Attributes
    ----------
    step
        The step that was kept.
    by_strong
        Whether the strong model wrote it.
    score
        PRM score of the kept step; None where no router asked for it.
    draft
        The weak model's draft; None where the router wanted none.
    draft_score
        What the PRM said of the draft; None where it was not asked.
    """

    step: Step
    by_strong: bool
    score: float | None
    draft: Step | None
    draft_score: Score | None


@dataclass(frozen=True, slots=True)
class Episode:
    """One problem solved under one router."""

    problem: Problem
    replicate: int
    kept: tuple[KeptStep, ...]

    @property
    def answer(self) -> str | None:
        """The boxed answer, if the solution holds one."""
        return solution_answer([kept.step.text for kept in self.kept])

    @property
    def costs(self) -> Costs:
        """What the episode cost."""
        return Costs(**{name: int(values[0]) for name, values in costs_of(path_of(self.kept)).items()})


@dataclass(frozen=True, slots=True)
class OnePlace:
    """Where one episode stands."""

    prefix: Prefix
    replicate: int

    def prefixes(self) -> Sequence[tuple[Prefix, int]]:
        """Return prefix and replicate."""
        return [(self.prefix, self.replicate)]

    def of(self, rows: Integers) -> OnePlace:
        """Return the place."""
        return self


async def steps(
    problem: Problem,
    router: Router,
    pair: ModelPair,
    replicate: int,
    max_steps: int,
    without_prm: Router | None = None,
) -> AsyncGenerator[KeptStep, None]:
    """Solve one problem under one router (paper, section 3), and yield each step as soon as it is kept.

    Parameters
    ----------
    without_prm
        Decides, without scores, from the step on of which the PRM gives none; None: the PRM's error is raised.
    """
    prefix, kept = Prefix.of(problem.text), None
    history = Histories(1, max_steps)
    for position in range(max_steps):
        is_last = position + 1 == max_steps
        draft = draft_score = None
        if router.wants_drafts(np.array([kept is not None and kept.by_strong]))[0]:
            draft = await pair.weak.step(prefix, replicate)
            if router.reads is not Reads.NOTHING:
                draft_score, router = await _scored(pair, prefix, draft.text, router, without_prm)
        history.draft(_as_drafts(draft, draft_score, position, is_last))
        if draft and not router.decide(history.observed(places=OnePlace(prefix, replicate)))[0]:
            kept = KeptStep(draft, False, draft_score.value if draft_score else None, draft, draft_score)
        else:
            written, score = await pair.strong.step(prefix, replicate), None
            if router.reads is Reads.HISTORY and not (written.is_final or is_last):
                # The next call reads this step anyway, and returns its score beside the draft's: nothing to add.
                score, router = await _scored(pair, prefix, written.text, router, without_prm)
            kept = KeptStep(written, True, score.value if score else None, draft, draft_score)
        yield kept
        if kept.step.is_final or is_last:
            return
        history.keep(_as_outcome(kept))
        prefix = prefix.extend(kept.step.text)


async def solve(problem: Problem, router: Router, pair: ModelPair, replicate: int, max_steps: int) -> Episode:
    """Solve one problem under one router, to the end."""
    kept = [step async for step in steps(problem, router, pair, replicate, max_steps)]
    return Episode(problem, replicate, tuple(kept))


async def _scored(
    pair: ModelPair, prefix: Prefix, text: str, router: Router, without_prm: Router | None
) -> tuple[Score | None, Router]:
    """Return what the PRM says of a step, and who decides from now on."""
    if pair.prm is None:
        raise BackendError("the router reads PRM scores, but this pair has no PRM")
    try:
        return await pair.prm.score(prefix, text), router
    except BackendError:
        if without_prm is None:
            raise
        return None, without_prm


def _as_drafts(draft: Step | None, score: Score | None, position: int, is_last: bool) -> Drafts:
    """Lay out one draft; where none was wanted, there is nothing to see of one."""
    value, tokens = np.nan if score is None else score.value, draft.tokens if draft else 0
    final = draft is not None and (draft.is_final or is_last)
    return Drafts(np.array([value]), np.array([tokens]), np.array([position]), np.array([final]))


def _as_outcome(kept: KeptStep) -> Outcome:
    """Lay out what became of a step that the episode goes on from."""
    score = np.nan if kept.score is None else kept.score
    by_strong, tokens, goes_on = np.array([kept.by_strong]), np.array([kept.step.tokens]), np.array([False])
    return Outcome(by_strong, tokens * by_strong, np.array([score]), tokens, goes_on, goes_on)


def path_of(kept: Sequence[KeptStep]) -> Path:
    """Lay out the path of one episode."""

    def row(values: Iterable[int]) -> Integers:
        return np.array([list(values)], dtype=np.int64)

    def flags(values: Iterable[bool]) -> Booleans:
        return np.array([list(values)], dtype=bool)

    return Path(
        steps=np.array([len(kept)]),
        drafted=flags(step.draft is not None for step in kept),
        scored=flags(step.draft_score is not None for step in kept),
        regenerated=flags(step.by_strong for step in kept),
        draft_tokens=row(step.draft.tokens if step.draft else 0 for step in kept),
        draft_prefill_tokens=row(step.draft.prompt_tokens if step.draft else 0 for step in kept),
        prm_tokens=row(step.draft_score.prompt_tokens if step.draft_score else 0 for step in kept),
        strong_tokens=row(step.step.tokens for step in kept),
        strong_prefill_tokens=row(step.step.prompt_tokens for step in kept),
    )


@dataclass(frozen=True, slots=True)
class Run:
    """A wish: this problem under this router, in this replicate."""

    problem: Problem
    router: Router
    replicate: int


async def _solve_all(
    runs: Sequence[Run], pair: ModelPair, max_steps: int, on_progress: Progress | None
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
    on_progress: Progress | None = None,
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
