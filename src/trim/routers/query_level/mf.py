"""RouteLLM's matrix factorisation: a bilinear score of model and problem (arXiv 2406.18665).

The score of a model M on a problem with embedding e is w . (v_M / |v_M| * W e). With two models
only their difference counts, so that this is a linear logistic regression without intercept.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from trim.arrays import Floats
from trim.routers.query_level.evidence import Evidence, every_replicate, unit

WIDTH = 128
NOISE = 0.1
EPOCHS = 100
BATCH = 64
LEARNING_RATE = 3e-4
WEIGHT_DECAY = 1e-5


@dataclass(frozen=True, slots=True, eq=False)
class MatrixFactorisation:
    """Doubts the weak model by the probability that the strong one wins a battle.

    Attributes
    ----------
    models
        Shape (2, 128); vectors of the weak and of the strong model.
    project
        Shape (128, width); W.
    weigh
        Shape (128,); w.
    """

    models: Floats
    project: Floats
    weigh: Floats

    def doubts(self, evidence: Evidence) -> Floats:
        """Score both models."""
        weak, strong = self.models / np.linalg.norm(self.models, axis=1, keepdims=True)
        logits = unit(evidence.embeddings) @ self.project.T @ ((strong - weak) * self.weigh)
        return every_replicate(1 / (1 + np.exp(-logits)), evidence.replicates)


def fit_mf(train: Evidence, dev: Evidence, seed: str) -> MatrixFactorisation:
    """Fit to the battles that one model wins; the epoch with the lowest loss on dev's battles is kept."""
    import torch
    from torch import nn

    from trim.models.training import batched, seed_torch

    seed_torch(f"{seed}/mf")
    (vectors, wins), (dev_vectors, dev_wins) = (
        [torch.as_tensor(array, dtype=torch.float32) for array in (unit(split.embeddings), split.outcomes()[:, ::2])]
        for split in (train, dev)
    )
    models = nn.Embedding(2, WIDTH)
    project, weigh = nn.Linear(vectors.shape[1], WIDTH, bias=False), nn.Linear(WIDTH, 1, bias=False)
    parts = nn.ModuleList([models, project, weigh])

    def loss(vectors: torch.Tensor, wins: torch.Tensor) -> torch.Tensor:
        weak, strong = nn.functional.normalize(models.weight, dim=1)
        logits = weigh((strong - weak) * project(vectors))[:, 0]
        battles = wins[:, 0] * nn.functional.softplus(-logits) + wins[:, 1] * nn.functional.softplus(logits)
        return battles.sum() / wins.sum().clamp(min=1e-9)

    optimiser = torch.optim.Adam(parts.parameters(), lr=LEARNING_RATE, weight_decay=WEIGHT_DECAY)
    best, kept = np.inf, parts.state_dict()
    for _ in range(EPOCHS):
        for part in batched(torch.randperm(len(vectors)).tolist(), BATCH):
            optimiser.zero_grad()
            noise = NOISE * torch.randn(len(part), vectors.shape[1])
            loss(vectors[part] + noise, wins[part]).backward()
            optimiser.step()
        with torch.inference_mode():
            now = float(loss(dev_vectors, dev_wins))
        if now < best:
            best, kept = now, {name: tensor.clone() for name, tensor in parts.state_dict().items()}
    weights = [kept[f"{i}.weight"].double().numpy() for i in range(3)]
    return MatrixFactorisation(weights[0], weights[1], weights[2][0])
