"""A kind of PRM: how often steps of this length were right in training. It reads no words, and needs no torch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from pydantic import Field

from trim.config.section import Count, Section
from trim.files import read_json, write_json
from trim.models.batching import WholeBatches
from trim.models.prm_kinds import PrmKind, PrmTraining
from trim.models.protocols import Prefix, Score

FILE = "shares.json"


class StepLengthPRM(Section):
    """Its block under `prms` in the config; `kind` tells it from the others."""

    kind: Literal["step-length"] = "step-length"
    bins: Count = Field(8, description="classes of length")


KIND = PrmKind(StepLengthPRM, train="own_parts.step_length:train", load="own_parts.step_length:load")


def train(spec: StepLengthPRM, training: PrmTraining, folder: Path, on_progress: object = None) -> None:
    """Count right steps among the labelled ones of each length, and fill the folder."""
    steps = [pair for trace in training.traces for pair in zip(trace.steps, trace.labels, strict=True)]
    lengths = np.array([len(text) for text, _ in steps])
    edges = np.unique(np.quantile(lengths, np.arange(1, spec.bins) / spec.bins))
    place, right = np.searchsorted(edges, lengths), np.array([label for _, label in steps])
    shares = [(right[place == i].sum() + 1) / ((place == i).sum() + 2) for i in range(len(edges) + 1)]
    write_json({"edges": edges.tolist(), "shares": [float(share) for share in shares]}, folder / FILE)


@dataclass(frozen=True)
class StepLengthJudge(WholeBatches):
    """Answers many requests at once: prefixes, each of which ends with the step to judge.

    Attributes
    ----------
    edges, shares
        Shapes (bins - 1,) and (bins,).
    batch_size
        Requests that `run` gets at most.
    """

    edges: Sequence[float]
    shares: Sequence[float]
    batch_size: int

    def run(self, requests: Sequence[Prefix]) -> list[Score]:
        """Return a score for each request, and the tokens that were read for it: none."""
        places = np.searchsorted(self.edges, [len(request.text) for request in requests])
        return [Score(self.shares[place], 0) for place in places]


def load(folder: Path, device: str, batch_size: int, **others: Any) -> StepLengthJudge:
    """Open what `train` left."""
    content = read_json(folder / FILE)
    return StepLengthJudge(content["edges"], content["shares"], batch_size)
