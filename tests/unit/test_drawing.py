"""How tokens are drawn: the same draw gives the same token, and frequencies are the probabilities."""

import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from trim.config.models import Sampling
from trim.models.protocols import Prefix
from trim.models.sampling import sample, uniforms


def test_draws_are_a_pure_function() -> None:
    prefix = Prefix.of("problem", "step\n\n")
    first = uniforms("m", prefix, 0, 500)
    assert (first[:200] == uniforms("m", Prefix.of("problem", "step\n\n"), 0, 200)).all()
    assert ((0 <= first) & (first < 1)).all()
    assert abs(first.mean() - 0.5) < 0.06
    for other in (("n", prefix, 0), ("m", prefix, 1), ("m", Prefix.of("problem"), 0)):
        assert (uniforms(*other, 500) != first).all()


def naive(logits: np.ndarray, draw: float, sampling: Sampling) -> int:
    """Return the token that a draw falls on: tokens by falling probability, cut by top-k, then by top-p."""
    order = sorted(range(len(logits)), key=lambda i: -logits[i])[: sampling.top_k or len(logits)]
    weights = [float(np.exp((float(logits[i]) - float(logits.max())) / sampling.temperature)) for i in order]
    nucleus, mass = [], 0.0
    for token, weight in zip(order, weights, strict=True):
        nucleus.append((token, weight))
        mass += weight
        if mass >= sampling.top_p * sum(weights):
            break
    left = draw * mass
    for token, weight in nucleus:
        left -= weight
        if left < 0:
            return token
    return nucleus[-1][0]


@settings(max_examples=150)
@given(
    seed=st.integers(0, 10**6),
    vocabulary=st.integers(2, 40),
    temperature=st.sampled_from([0.3, 0.7, 1.0, 2.0]),
    top_p=st.floats(0.05, 1),
    top_k=st.integers(0, 50),
)
def test_sampling_agrees_with_a_naive_one(
    seed: int, vocabulary: int, temperature: float, top_p: float, top_k: int
) -> None:
    numbers = np.random.default_rng(seed)
    sampling = Sampling(temperature=temperature, top_p=top_p, top_k=top_k)
    logits = numbers.normal(0, 3, (6, vocabulary)).astype(np.float32)
    draws = numbers.random(6)
    # Nearer to 1, it is rounding that decides between tokens of no weight.
    draws[0], draws[1] = 0.0, 1 - 1e-9
    ours = sample(torch.from_numpy(logits), torch.from_numpy(draws), sampling).tolist()
    assert ours == [naive(row, draw, sampling) for row, draw in zip(logits, draws, strict=True)]


def test_frequencies_are_the_probabilities() -> None:
    logits = torch.tensor([2.0, 1.0, 0.0, -1.0, 1.5])
    draws = (torch.arange(20_000, dtype=torch.float64) + 0.5) / 20_000
    sampling = Sampling(temperature=0.5, top_p=1.0, top_k=4)
    tokens = sample(logits.expand(20_000, -1), draws, sampling)
    share = torch.bincount(tokens, minlength=5) / 20_000
    weights = torch.exp(logits / 0.5) * torch.tensor([1, 1, 1, 0, 1])
    torch.testing.assert_close(share, weights / weights.sum(), atol=1e-4, rtol=0)


def test_a_nucleus_is_the_smallest_set_that_reaches_its_mass() -> None:
    logits = torch.log(torch.tensor([[0.5, 0.3, 0.15, 0.05]], dtype=torch.float64))
    draws = torch.linspace(0, 0.999, 400, dtype=torch.float64)
    for top_p, kept in [(0.4, {0}), (0.6, {0, 1}), (0.79, {0, 1}), (0.81, {0, 1, 2}), (1.0, {0, 1, 2, 3})]:
        tokens = sample(logits.expand(400, -1), draws, Sampling(temperature=1, top_p=top_p, top_k=0))
        assert set(tokens.tolist()) == kept
