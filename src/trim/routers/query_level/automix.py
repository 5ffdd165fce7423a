"""AutoMix: the weak model answers, a noisy verifier looks, a POMDP decides (arXiv 2310.12963).

The verifier of `automix` is the weak model itself: the share of further samples that come to the
same answer, since tiny models follow no verification prompt. That of `automix-prm` is the
cumulative PRM score of the answer. The POMDP has three classes: NEEDY, only the strong
model can; GOOD, both can; HOPELESS, neither can. It acts once, so that it is solved by
comparing two values.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from trim.arrays import Floats, Integers
from trim.routers.query_level.evidence import Evidence

ROUTE_PENALTY = 100.0


@dataclass(frozen=True, slots=True, eq=False)
class AutoMix:
    """Routes where the greedy action of AutoMix does.

    With probabilities p of the classes and a trade-off r, routing has the higher value iff
    r p(NEEDY) > 100 - p(HOPELESS): a threshold 1 / r on p(NEEDY) / (100 - p(HOPELESS)).

    Attributes
    ----------
    verifier
        `agreement` or `product`.
    needy, hopeless
        Shape (bins,); share of each class where the verifier's probability lies in a bin.
    """

    verifier: str
    needy: Floats
    hopeless: Floats

    def doubts(self, evidence: Evidence) -> Floats:
        """Look the verifier's bin up."""
        doubt = self.needy / (ROUTE_PENALTY - self.hopeless)
        return np.asarray(doubt[_bins(evidence, self.verifier, len(self.needy))][:, :, None])


def fit_automix(train: Evidence, verifier: str, bins: int) -> AutoMix:
    """Count the classes in each bin; solutions that only the weak model gets right have none, and are left out.

    Each bin starts with one solution of the training split's average, so that an empty one says something.
    """
    weak, strong = train.weak_correct[:, : train.replicates], train.strong_correct
    classes = np.stack([~weak & strong, weak & strong, ~weak & ~strong])
    average = classes.mean(axis=(1, 2)) / max(classes.mean(axis=(1, 2)).sum(), 1e-12)
    found = _bins(train, verifier, bins)
    counts = np.stack([np.bincount(found[members], minlength=bins) for members in classes])
    shares = (counts + average[:, None]) / (counts.sum(axis=0) + 1)
    return AutoMix(verifier, shares[0], shares[2])


def _bins(evidence: Evidence, verifier: str, bins: int) -> Integers:
    """Return the bin of each weak answer's probability, of equal widths over [0, 1], shape (P, R)."""
    if verifier == "agreement":
        values = evidence.agreement
    else:
        values = evidence.summary(verifier)[:, : evidence.replicates]
    return np.minimum((values * bins).astype(np.int64), bins - 1)
