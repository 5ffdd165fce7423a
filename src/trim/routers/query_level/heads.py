"""What foresees outcomes from a problem: a fine-tuned encoder, or linear heads on the vectors of a frozen one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from scipy.optimize import minimize
from scipy.special import log_softmax, softmax

from trim.arrays import Floats
from trim.files import read_tensors, write_tensors
from trim.routers.query_level.evidence import Evidence

if TYPE_CHECKING:
    from trim.models.encoder import TextClassifier

HEADS_FILE = "heads.safetensors"
PENALTIES = 10.0 ** np.arange(2, -3.5, -0.5)
"""Weights of the L2 penalty, of which dev picks one for each head: from all but nothing learned to all but by heart."""


@dataclass(frozen=True, slots=True, eq=False)
class LinearHeads:
    """Several softmax regressions on standardised vectors, each into the same number of classes.

    Attributes
    ----------
    weights
        Shape (width + 1, heads, classes); the last row is the intercept.
    """

    weights: Floats

    def predict(self, vectors: Floats) -> Floats:
        """Return probabilities of shape (n, heads, classes) for vectors of shape (n, width)."""
        return np.asarray(softmax(_logits(_with_one(vectors), self.weights), axis=2))

    def save(self, folder: Path) -> None:
        """Write a folder."""
        write_tensors({"weights": self.weights}, folder / HEADS_FILE)

    @classmethod
    def load(cls, folder: Path) -> LinearHeads:
        """Read what `save` wrote."""
        return cls(read_tensors(folder / HEADS_FILE)["weights"])


def fit_heads(train: tuple[Floats, Floats], dev: tuple[Floats, Floats]) -> LinearHeads:
    """Fit heads to soft labels; the penalty of each is that with the lowest loss on dev.

    Parameters
    ----------
    train, dev
        Standardised vectors, shape (n, width), and how likely each class is, shape (n, heads, classes).
    """
    features, labels = _with_one(train[0]), train[1]
    weights, fitted = np.zeros((features.shape[1], *labels.shape[1:])), []
    for penalty in PENALTIES:  # each starts from the one before
        weights = _regress(features, labels, float(penalty), weights)
        fitted.append(weights)
    losses = [_losses(_with_one(dev[0]), dev[1], weights) for weights in fitted]
    best = np.argmin(losses, axis=0)
    return LinearHeads(np.stack([fitted[place][:, head] for head, place in enumerate(best)], axis=1))


def _with_one(vectors: Floats) -> Floats:
    return np.hstack([vectors, np.ones((len(vectors), 1))])


def _logits(features: Floats, weights: Floats) -> Floats:
    return np.asarray(np.tensordot(features, weights, axes=1))


def _losses(features: Floats, labels: Floats, weights: Floats) -> Floats:
    """Return the cross-entropy of each head, shape (heads,)."""
    return np.asarray(-(labels * log_softmax(_logits(features, weights), axis=2)).sum(axis=2).mean(axis=0))


def _regress(features: Floats, labels: Floats, penalty: float, start: Floats) -> Floats:
    """Minimise the sum of all heads' cross-entropies, and half the penalty times the squares of all but intercepts."""
    shape = start.shape

    def loss(flat: Floats) -> tuple[float, Floats]:
        weights = flat.reshape(shape)
        shrunk = weights.copy()
        shrunk[-1] = 0
        logits = _logits(features, weights)
        entropy = -(labels * log_softmax(logits, axis=2)).sum() / len(features)
        slope = np.tensordot(features.T, softmax(logits, axis=2) - labels, axes=1) / len(features)
        return float(entropy + penalty * (shrunk**2).sum() / 2), (slope + penalty * shrunk).ravel()

    return np.asarray(minimize(loss, start.ravel(), jac=True, method="L-BFGS-B").x.reshape(shape))


# --- either kind ------------------------------------------------------------------------

Learn = Callable[[str, Floats, Floats], "TextClassifier | LinearHeads"]
"""Learns soft labels of the problems of the training split and of dev, shape (P, heads, classes), under a name."""


def foresee(classifier: TextClassifier | LinearHeads, evidence: Evidence) -> Floats:
    """Return how likely each class is for each problem, shape (P, heads, classes)."""
    if isinstance(classifier, LinearHeads):
        return classifier.predict(evidence.embeddings)
    return classifier.predict(evidence.texts)


def load_classifier(folder: Path, device: str) -> TextClassifier | LinearHeads:
    """Read a classifier of either kind."""
    if (folder / HEADS_FILE).is_file():
        return LinearHeads.load(folder)
    from trim.models.encoder import TextClassifier

    return TextClassifier.load(folder, device)
