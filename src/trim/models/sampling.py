"""How the next token is drawn from a model's logits, by a seed of each step's own."""

from __future__ import annotations

import numpy as np
import torch

from trim.config.models import Sampling
from trim.models.protocols import Prefix, request_digest


def uniforms(identity: str, prefix: Prefix, replicate: int, count: int) -> np.ndarray:
    """Draws in [0, 1) that are a pure function of model, sampling settings, prefix and replicate."""
    key = int.from_bytes(request_digest(identity, prefix, replicate), "little")
    return np.random.Generator(np.random.Philox(key=key)).random(count)


def sample(logits: torch.Tensor, draws: torch.Tensor, sampling: Sampling) -> torch.Tensor:
    """Draw one token a row by inverting the distribution after temperature, top-k and top-p.

    Parameters
    ----------
    logits
        Shape (rows, vocabulary).
    draws
        Uniform in [0, 1), shape (rows,).

    Returns
    -------
    Token ids, shape (rows,).
    """
    if sampling.temperature == 0:
        return logits.argmax(-1)
    k = min(sampling.top_k or logits.shape[-1], logits.shape[-1])
    top, ids = torch.topk(logits, k, dim=-1)  # before double precision: a real vocabulary is large
    p = torch.softmax(top.double() / sampling.temperature, -1)
    mass = p.cumsum(-1)
    kept = mass - p < sampling.top_p  # the smallest set whose mass reaches top_p
    mass = (p * kept).cumsum(-1)
    choice = torch.searchsorted(mass, (draws * mass[:, -1])[:, None], right=True).clamp(max=k - 1)
    return ids.gather(1, choice)[:, 0]


def log_probabilities(logits: torch.Tensor, tokens: torch.Tensor) -> torch.Tensor:
    """Return the log-probability of one token a row at temperature 1, in single precision, shape (rows,).

    On a CPU row by row: one row of a large vocabulary in single precision stays in its cache, a batch does not.
    """
    if logits.is_cuda:
        return logits.float().log_softmax(-1).gather(1, tokens[:, None])[:, 0]
    return torch.stack([row.float().log_softmax(-1)[token] for row, token in zip(logits, tokens, strict=True)])
