"""A PRM made worse: noise on the logit of every score (the paper's Table 8 disturbs its PRM by a wrong padding)."""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass
from statistics import NormalDist

from trim.models.protocols import Prefix, Score, StepScorer

CLOSEST = 1e-6
"""How near to 0 and 1 a score counts as."""


@dataclass(frozen=True, slots=True)
class NoisyScorer:
    """Adds normal noise to the logit of a score; of one step it is always the same.

    Attributes
    ----------
    scorer
        The PRM underneath, behind the step store, which holds its scores and no noise.
    deviation
        Standard deviation of the noise.
    """

    scorer: StepScorer
    deviation: float

    @property
    def identity(self) -> str:
        """Say what a score depends on, but the step."""
        return f"{self.scorer.identity} + noise {self.deviation}"

    async def score(self, prefix: Prefix, step: str) -> Score:
        """Score one step given the text before it."""
        score = await self.scorer.score(prefix, step)
        return Score(disturbed(score.value, self.deviation, prefix.extend(step).digest), score.prompt_tokens)


def disturbed(value: float, deviation: float, digest: bytes) -> float:
    """Add normal noise, drawn by a digest, to the logit of a score."""
    draw = int.from_bytes(hashlib.blake2b(digest + b"|noise", digest_size=8).digest(), "little")
    value = min(max(value, CLOSEST), 1 - CLOSEST)
    logit = math.log(value / (1 - value)) + NormalDist(sigma=deviation).inv_cdf((draw + 0.5) / 2**64)
    return 1 / (1 + math.exp(-logit))
