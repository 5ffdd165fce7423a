"""Scores without a PRM: how sure a language model of the pair was of a step, between 0 and 1.

GlimpRouter (arXiv 2601.05110) looks at the entropy of a step's first token, before there is a step; STEER (2511.06190)
at the probabilities that the model gave to what it wrote. STEER also calibrates them by a mixture of two normal
distributions: where that rises with what it calibrates, thresholds decide the same without it.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from trim.config.models import ConfidencePRM
from trim.models.batching import WholeBatches
from trim.models.model_kinds import ReaderSource
from trim.models.prm_kinds import PrmTraining, prm_section
from trim.models.protocols import Prefix, Score
from trim.progress import Progress

if TYPE_CHECKING:
    import torch

    from trim.models.reading import Reader


def train_nothing(
    spec: ConfidencePRM, training: PrmTraining, folder: Path, on_progress: Progress | None = None
) -> None:
    """Leave an empty folder: `prm.json`, which says what is read, is all there is."""
    folder.mkdir(parents=True, exist_ok=True)


def load_confidence(folder: Path, reader: ReaderSource, **_: Any) -> ConfidenceJudge:
    """Load scores of kind `confidence`, which are read off a language model of the pair."""
    return ConfidenceJudge(reader.open(), ConfidencePRM.model_validate(prm_section(folder)).reads)


class ConfidenceJudge(WholeBatches):
    """Scores steps; a `BatchBackend` whose requests are prefixes that end with the step to judge."""

    def __init__(self, reader: Reader, reads: Literal["entropy", "mean", "lowest"]) -> None:
        self.reader = reader
        self.reads = reads
        self.batch_size = reader.batch_size

    def bucket(self, request: Prefix) -> Hashable:
        """Group requests as the reader best reads them."""
        return self.reader.bucket(request)

    def run(self, requests: Sequence[Prefix]) -> list[Score]:
        """Judge the last step of each prefix."""
        if self.reads == "entropy":
            states = self.reader.read([request.parent for request in requests if request.parent is not None])
            values = certainty(self.reader.foresee(states))
        else:
            states = self.reader.read(requests)
            place = ("lowest", "mean").index(self.reads)
            told = [float(s.likelihood[place]) if s.logprobs.numel() else -math.inf for s in states]
            values = [min(math.exp(logprob), 1.0) for logprob in told]  # a step without a token is no sure thing
        return [Score(value, state.length) for value, state in zip(values, states, strict=True)]


def certainty(logits: torch.Tensor) -> list[float]:
    """Return exp(-entropy) of each distribution: 1 for a sure thing, one in n for n that are equally likely.

    One by one: where a tensor ends, torch computes otherwise, and the last bits would hang on the company.

    Parameters
    ----------
    logits
        Shape (n, vocabulary).
    """
    import torch  # not above: where nothing is trained, nothing is loaded

    entropies = [torch.special.entr(row.float().softmax(-1).double()).sum() for row in logits]
    return [min(math.exp(-float(entropy)), 1.0) for entropy in entropies]
