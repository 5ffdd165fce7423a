"""Who writes steps and who judges them, as the rest of the library sees them."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Protocol

from trim.problems.answers.boxes import has_boxed_answer

SEPARATOR = "\n\n"


class FinishReason(StrEnum):
    """Why a model stopped writing a step."""

    SEPARATOR = "separator"
    END_OF_SEQUENCE = "end_of_sequence"
    LENGTH = "length"


@dataclass(frozen=True, slots=True)
class Step:
    """A piece of a solution, as one model wrote it.

    Attributes
    ----------
    text
        Ends with the separator, unless the model stopped otherwise.
    token_ids
        What the model decoded, the separator or end-of-sequence token included.
    prompt_tokens
        Length of the input (problem and steps before), in the model's own tokens.
    finish
        Why the model stopped.
    """

    text: str
    token_ids: tuple[int, ...]
    prompt_tokens: int
    finish: FinishReason

    @property
    def tokens(self) -> int:
        """Number of decoded tokens: what this step costs."""
        return len(self.token_ids)

    @property
    def is_final(self) -> bool:
        """Whether the solution ends here."""
        return self.finish is not FinishReason.SEPARATOR or has_boxed_answer(self.text)


@dataclass(frozen=True, slots=True)
class Score:
    """A scorer's estimate that a step is right, in [0, 1], and the tokens it read for it."""

    value: float
    prompt_tokens: int


@dataclass(frozen=True, slots=True, eq=False)
class Prefix:
    """A problem and the steps kept so far; shares its beginning with the prefixes it grew from.

    Attributes
    ----------
    parent
        The prefix without the last step; None when there is no step yet.
    text
        The last step's text, or the problem's text at the root.
    depth
        Number of steps.
    digest
        16 bytes that identify problem and steps.
    """

    parent: Prefix | None
    text: str
    depth: int
    digest: bytes

    @classmethod
    def of(cls, problem_text: str, *steps: str) -> Prefix:
        """Build the prefix of a problem and some steps."""
        prefix = cls(None, problem_text, 0, _digest(b"", problem_text))
        for step in steps:
            prefix = prefix.extend(step)
        return prefix

    def extend(self, step: str) -> Prefix:
        """Return the prefix that has one more step."""
        return Prefix(self, step, self.depth + 1, _digest(self.digest, step))

    def lineage(self) -> list[Prefix]:
        """Return this prefix and all it grew from, the problem first."""
        node: Prefix | None = self
        nodes = []
        while node is not None:
            nodes.append(node)
            node = node.parent
        return nodes[::-1]

    @property
    def problem_text(self) -> str:
        """The problem's text."""
        return self.lineage()[0].text

    @property
    def steps(self) -> tuple[str, ...]:
        """The texts of the kept steps."""
        return tuple(node.text for node in self.lineage()[1:])


def _digest(parent: bytes, text: str) -> bytes:
    return hashlib.blake2b(parent + text.encode(), digest_size=16).digest()


def request_digest(identity: str, prefix: Prefix, replicate: int) -> bytes:
    """16 bytes that a step's randomness is drawn from: a pure function of model, sampling, prefix and replicate."""
    content = b"|".join([identity.encode(), prefix.digest, str(replicate).encode()])
    return hashlib.blake2b(content, digest_size=16).digest()


class StepModel(Protocol):
    """Writes the next step of a solution.

    A step is a pure function of (identity, prefix, replicate): its random seed is a hash
    of them. So routers that reach the same prefix see the same step.
    """

    @property
    def identity(self) -> str:
        """Model, revision and sampling settings: what a stored step is valid for."""
        ...

    async def step(self, prefix: Prefix, replicate: int) -> Step:
        """Write the step that follows the prefix."""
        ...


@dataclass(frozen=True, slots=True)
class CutSteps:
    """A `StepModel` whose steps end at their token limit as if they ended by themselves: the solution goes on.

    Attributes
    ----------
    model
        The model underneath, behind the step store, which holds its steps as it wrote them.
    """

    model: StepModel

    @property
    def identity(self) -> str:
        """Say what a step depends on, but the prefix and the replicate."""
        return f"{self.model.identity}, cut"

    async def step(self, prefix: Prefix, replicate: int) -> Step:
        """Write the step that follows the prefix."""
        step = await self.model.step(prefix, replicate)
        return replace(step, finish=FinishReason.SEPARATOR) if step.finish is FinishReason.LENGTH else step


class StepScorer(Protocol):
    """Judges a step: a process reward model."""

    @property
    def identity(self) -> str:
        """Model and revision: what a stored score is valid for."""
        ...

    async def score(self, prefix: Prefix, step: str) -> Score:
        """Return the probability that the step is right given the prefix."""
        ...


@dataclass(frozen=True, slots=True)
class ModelPair:
    """The models of an experiment; the PRM is None while there is none yet."""

    weak: StepModel
    strong: StepModel
    prm: StepScorer | None
