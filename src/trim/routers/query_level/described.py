"""What can be said of a problem without any model, and of a weak answer beside what the PRM says: numbers."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from trim.arrays import Floats
from trim.routers.query_level.evidence import Evidence

COUNTED = (
    *(".", r"\S+", r"\d+", r"\d{2,}", r"[A-Za-z]{2,}"),
    *(r"\+", "-", r"\*", r"\*[6-9]", "/", r"\^", "=", r"\(", r"\\", "!", r"\$", ","),
    *"0123456789",
)
"""What is counted in the text of a problem: patterns."""

LEAST_SCORE = 1e-4


def describe_texts(texts: Sequence[str]) -> Floats:
    """Return how often each pattern of COUNTED stands in each text, shape (P, T)."""
    patterns = [re.compile(pattern) for pattern in COUNTED]
    return np.array([[len(pattern.findall(text)) for pattern in patterns] for text in texts], dtype=np.float64)


def describe_answers(evidence: Evidence) -> Floats:
    """Return descriptions of all weak answers, shape (P, N, T + 8): of the problem, and of the answer.

    Its tokens and steps, and the summaries of its PRM scores, two of them in logarithms too.
    """
    texts = np.repeat(describe_texts(evidence.texts)[:, None], evidence.weak_tokens.shape[1], axis=1)
    low = np.maximum(evidence.scores[:, :, :2], LEAST_SCORE)
    sizes = np.stack([evidence.weak_tokens, evidence.weak_steps], axis=2)
    return np.concatenate([texts, sizes, evidence.scores, np.log(low)], axis=2)


@dataclass(frozen=True, slots=True, eq=False)
class ExpectedTokens:
    """Foresees the logarithm of the tokens that the strong model would write, by least squares.

    Attributes
    ----------
    mean, scale, weights
        Of descriptions of problems, shape (T,), or of answers; `weights` ends with the intercept.
    range
        Shape (2,); fewest and most tokens of a training problem: a forecast stays within half and twice of these.
    """

    mean: Floats
    scale: Floats
    weights: Floats
    range: Floats

    def of(self, evidence: Evidence) -> Floats:
        """Return the tokens, shape (P, R)."""
        if len(self.mean) == len(COUNTED):
            described = np.repeat(describe_texts(evidence.texts)[:, None], evidence.replicates, axis=1)
        else:
            described = describe_answers(evidence)[:, : evidence.replicates]
        logs = ((described - self.mean) / self.scale) @ self.weights[:-1] + self.weights[-1]
        low, high = np.log(self.range * [0.5, 2])
        return np.asarray(np.exp(np.clip(logs, low, high)))


RIDGE = 1.0
"""Weight of the squares of the coefficients, in training rows."""


def fit_tokens(train: Evidence, reads_answer: bool) -> ExpectedTokens:
    """Fit to the strong solutions of the training problems; `reads_answer`: given the weak answer, too."""
    tokens = np.maximum(train.strong_tokens.mean(axis=1), 1.0)
    if reads_answer:
        described = describe_answers(train)
        rows, logs = described.reshape(-1, described.shape[2]), np.repeat(np.log(tokens), described.shape[1])
    else:
        rows, logs = describe_texts(train.texts), np.log(tokens)
    mean, scale = rows.mean(axis=0), standard(rows)
    standing = (rows - mean) / scale
    slopes = np.linalg.solve(standing.T @ standing + RIDGE * np.eye(len(mean)), standing.T @ (logs - logs.mean()))
    return ExpectedTokens(mean, scale, np.append(slopes, logs.mean()), np.array([tokens.min(), tokens.max()]))


def standard(rows: Floats) -> Floats:
    """Return the standard deviations of columns, 1 where all values are the same."""
    spread = rows.std(axis=0)
    return np.where(spread > 1e-9, spread, 1.0)
