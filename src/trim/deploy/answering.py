"""One problem under a deployed router, step by step: who wrote each step, why, and what it cost."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any

import numpy as np

from trim.arrays import Booleans
from trim.deploy.manifest import Manifest
from trim.deploy.opening import Opened
from trim.evaluation.prices import in_dollars
from trim.models.protocols import FinishReason
from trim.problems.problem import Problem, fingerprint
from trim.rollout.costs import Costs
from trim.rollout.engine import Episode, KeptStep, steps
from trim.rollout.history import Observed, Reads, Router
from trim.rollout.tables import AUTHORS, OperatingPoint
from trim.routers.controls import StrongOnly
from trim.routers.threshold import Threshold

LARGEST_SEED = 2**53 - 1
"""What every client's JSON carries exactly."""


class Reason(StrEnum):
    """Why a step is of the model that wrote it."""

    KEPT = "kept"
    """The router kept the draft."""
    ROUTER = "router"
    """The router had the strong model write the step again."""
    UNDRAFTED = "undrafted"
    """The router wanted no draft here."""
    PRM_DOWN = "prm_down"
    """The PRM gave no score here, or on a step before."""
    BUDGET = "budget"
    """The strong model was wanted, but its tokens for this request are spent: the draft was kept."""


@dataclass(slots=True)
class Capped:
    """A router that asks for the strong model only while its tokens are within a budget; of one episode.

    It asks for every draft, so that there is a step to keep once the budget is spent.

    Attributes
    ----------
    router
        Decides within the budget.
    budget
        Most tokens that the strong model may decode.
    longest
        Tokens of the longest step: one is asked for only where the longest would still fit.
    held
        Positions at which a draft was kept only for the budget.
    """

    router: Router
    budget: int
    longest: int
    held: set[int] = field(default_factory=set)

    @property
    def reads(self) -> Reads:
        """Those of the router."""
        return self.router.reads

    def wants_drafts(self, after_strong: Booleans) -> Booleans:
        """Return True of every episode."""
        return np.ones_like(after_strong)

    def decide(self, observed: Observed) -> Booleans:
        """Decide as the router does, within the budget; where it would want no draft, it wants the strong model."""
        position = observed.position
        spent = np.sum(observed.tokens, axis=1, where=observed.past & observed.strong)
        before = observed.strong[np.arange(len(position)), np.maximum(position - 1, 0)] & (position > 0)
        wanted = self.router.decide(observed) | ~self.router.wants_drafts(before)
        affordable = spent + self.longest <= self.budget
        self.held.update(position[wanted & ~affordable].tolist())
        return np.asarray(wanted & affordable)


@dataclass(frozen=True, slots=True)
class ToldStep:
    """A step, and why it is what it is; what a response says of it."""

    position: int
    author: str
    reason: Reason
    why: str
    text: str
    tokens: int
    score: float | None
    draft: str | None
    draft_tokens: int
    final: bool

    def described(self) -> dict[str, Any]:
        """Return it without its texts, as JSON has it."""
        return {key: value for key, value in asdict(self).items() if key not in ("text", "draft")}


@dataclass
class Answering:
    """One problem being solved.

    Parameters
    ----------
    point
        What decides.
    seed
        The replicate: the same seed gives the same steps, as far as the models behind do.
    max_strong_tokens
        Budget of strong tokens; None for none.
    falls_back
        Whether the strong model goes on where the PRM fails, in place of an error.
    """

    opened: Opened
    point: OperatingPoint
    problem: Problem
    seed: int
    max_strong_tokens: int | None = None
    falls_back: bool = False
    kept: list[KeptStep] = field(default_factory=list)
    told: list[ToldStep] = field(default_factory=list)

    async def steps(self) -> AsyncGenerator[ToldStep, None]:
        """Solve the problem, and yield each step as soon as it is kept."""
        manifest = self.opened.deployed.manifest
        router: Router = self.point.policy
        alone: Router = StrongOnly()
        if self.max_strong_tokens is not None:
            longest = manifest.sampling.max_step_tokens
            router = Capped(router, self.max_strong_tokens, longest)
            alone = Capped(alone, self.max_strong_tokens, longest, router.held)
        fallback = alone if self.falls_back else None
        solving = steps(self.problem, router, self.opened.pair, self.seed, manifest.max_steps, fallback)
        async with aclosing(solving):
            async for step in solving:
                told = self._tell(step, router)
                self.kept.append(step)
                self.told.append(told)
                yield told

    @property
    def episode(self) -> Episode:
        """What was solved so far."""
        return Episode(self.problem, self.seed, tuple(self.kept))

    @property
    def costs(self) -> Costs:
        """What it cost so far."""
        return self.episode.costs if self.kept else Costs()

    @property
    def ended_by_length(self) -> bool:
        """Whether the last step was cut off, or steps ran out, before the solution ended."""
        last = self.kept[-1].step if self.kept else None
        return last is None or last.finish is FinishReason.LENGTH or not last.is_final

    def _tell(self, step: KeptStep, router: Router) -> ToldStep:
        reason = self._reason(step, router)
        score = step.draft_score.value if step.draft_score else step.score
        return ToldStep(
            position=len(self.kept),
            author=AUTHORS[step.by_strong],
            reason=reason,
            why=self._why(reason, score),
            text=step.step.text,
            tokens=step.step.tokens,
            score=score,
            draft=step.draft.text if step.draft else None,
            draft_tokens=step.draft.tokens if step.draft else 0,
            final=step.step.is_final,
        )

    def _reason(self, step: KeptStep, router: Router) -> Reason:
        if isinstance(router, Capped) and len(self.kept) in router.held:
            return Reason.BUDGET
        if self.told and self.told[-1].reason is Reason.PRM_DOWN:
            return Reason.PRM_DOWN
        if step.draft is None:
            before = np.array([bool(self.kept) and self.kept[-1].by_strong])
            return Reason.PRM_DOWN if router.wants_drafts(before)[0] else Reason.UNDRAFTED
        if step.draft_score is None and router.reads is not Reads.NOTHING:
            return Reason.PRM_DOWN
        return Reason.ROUTER if step.by_strong else Reason.KEPT

    def _why(self, reason: Reason, score: float | None) -> str:
        point, seen = self.point, "" if score is None else f" (score {score:.3f})"
        if isinstance(point.policy, Threshold) and score is not None and reason in (Reason.KEPT, Reason.ROUTER):
            side = "below" if reason is Reason.ROUTER else "not below"
            return f"score {score:.3f} is {side} {point.setting:g}"
        return {
            Reason.KEPT: f"{point.router} at {point.setting:g} kept the draft{seen}",
            Reason.ROUTER: f"{point.router} at {point.setting:g} had the strong model write the step again{seen}",
            Reason.UNDRAFTED: f"{point.router} has the strong model write here",
            Reason.PRM_DOWN: "the PRM gave no score",
            Reason.BUDGET: "the strong tokens of this request are spent",
        }[reason]


def as_problem(text: str) -> Problem:
    """Return a text as a problem, of which no answer is known."""
    digest = fingerprint(text)
    return Problem(digest[:12], "asked", text, "", digest)


def dollars(manifest: Manifest, costs: Costs) -> dict[str, float]:
    """Return what an episode costs at each price in dollars that the manifest knows."""
    counted, known = asdict(costs), in_dollars(manifest.prices)
    return {
        name: sum(amount * counted[quantity] for quantity, amount in numbers.items()) for name, numbers in known.items()
    }
