"""Golden scores: what a PRM is known to say of a few fixed solutions, asked before it is believed.

A pooling server can be wrong in silence: another step tag, another pooling, another model.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Self

from pydantic import model_validator

from trim.checksums import sealed_bytes
from trim.config.models import ServedPRM
from trim.config.section import Section, Share
from trim.errors import BackendError, DamagedFile, InputError
from trim.files import CHECKSUM, write_json
from trim.models.protocols import Prefix

logger = logging.getLogger(__name__)

TOLERANCE = 0.01
# Words and signs that the tokenizers of the tiny models know too.
_SOLUTIONS = (
    ("work out 12 + 30 - 2", ("12 + 30 = 42\n\n", "42 - 2 = 40\n\n", "\\boxed{40}")),
    ("work out 12 + 30 - 2", ("12 + 30 = 43\n\n", "43 - 2 = 41\n\n", "\\boxed{41}")),
    ("take 5 times 7, then add 1", ("5 times 7 = 35\n\n", "35 + 1 = 37\n\n", "so the answer is 37\n\n", "\\boxed{37}")),
)


class GoldenSolution(Section, strict=True):
    """A solution and the score of each of its steps."""

    problem: str
    steps: tuple[str, ...]
    scores: tuple[Share, ...]

    @model_validator(mode="after")
    def _as_many_scores_as_steps(self) -> Self:
        if len(self.steps) != len(self.scores):
            raise ValueError("there must be a score for each step")
        return self


class GoldenFile(Section):
    """What `trim golden` writes: which PRM gave which scores."""

    model: str | None = None
    revision: str | None = None
    solutions: tuple[GoldenSolution, ...]


async def check_scores(
    score_steps: Callable[[Prefix], Awaitable[tuple[list[float], int]]], golden: Sequence[GoldenSolution], name: str
) -> None:
    """Compare a server's scores with the golden ones.

    Parameters
    ----------
    score_steps
        Asks the server for the score of every step of a prefix.

    Raises
    ------
    BackendError
        A score is further off than `TOLERANCE`.
    """
    for solution in golden:
        scores, _ = await score_steps(Prefix.of(solution.problem, *solution.steps))
        for position, (score, known) in enumerate(zip(scores, solution.scores, strict=True)):
            if abs(score - known) > TOLERANCE:
                raise BackendError(
                    f"PRM {name}: the server gives step {position + 1} of the golden solution to {solution.problem!r} "
                    f"a score of {score:.4f}, but it is {known:.4f}; is it this model, with this step_tag, system "
                    "message and keeps_separator?"
                )


def golden_solutions(spec: ServedPRM, cache: Path) -> list[GoldenSolution]:
    """Return the golden scores of a PRM: from its file, or computed once by the transformers backend on the CPU.

    Parameters
    ----------
    cache
        File that keeps what was computed.

    Raises
    ------
    InputError
        A file is missing or malformed.
    """
    path = Path(spec.golden) if spec.golden is not None else cache
    if spec.golden is None and not cache.exists():
        logger.info("computing golden scores of %s on the CPU, into %s", spec.name, cache)
        write_golden(spec, cache)
    try:
        # Scores written by hand, or by another program, have no checksum.
        content = json.loads(sealed_bytes(path, required=False))
        content.pop(CHECKSUM, None)
        return list(GoldenFile.model_validate_json(json.dumps(content)).solutions)
    except DamagedFile as error:
        raise InputError(f"{path}: {error.why}; write it by `trim golden`") from None
    except (ValueError, AttributeError, TypeError, RecursionError):
        raise InputError(f"{path}: no golden scores; write it by `trim golden`") from None


def compute_golden(spec: ServedPRM) -> list[GoldenSolution]:
    """Score the fixed solutions with the transformers backend."""
    from trim.models.prm import load_classifier

    judge = load_classifier(
        spec.name,
        revision=spec.revision,
        step_tag=spec.step_tag,
        batch_size=4,
        system=spec.system,
        keeps_separator=spec.keeps_separator,
    )
    return [
        GoldenSolution(
            problem=problem,
            steps=steps,
            scores=tuple(judge.run([Prefix.of(problem, *steps[: i + 1])])[0].value for i in range(len(steps))),
        )
        for problem, steps in _SOLUTIONS
    ]


def write_golden(spec: ServedPRM, path: Path) -> None:
    """Compute the golden scores of a PRM and store them."""
    scored = GoldenFile(model=spec.name, revision=spec.revision, solutions=tuple(compute_golden(spec)))
    write_json(scored.model_dump(mode="json"), path)
