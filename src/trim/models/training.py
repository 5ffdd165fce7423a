"""What the training of the tiny language models and of the PRM share."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Iterator, Mapping, Sequence
from itertools import count
from typing import Any, NamedTuple, TypeVar

import torch
from torch.nn.functional import cross_entropy

from trim.config.datasets import ArithmeticFamily
from trim.problems.arithmetic import draw_program, slipped
from trim.problems.splits import split_of

IGNORED = -100
SHORT = ArithmeticFamily(min_steps=1, max_steps=3, p_multiply=0.2, p_subtract=0.4, p_two_digits=0.8, p_spelled_out=0.05)
SHORT_SHARE = 0.2
# Two-digit operands are by far the most to learn (18,000 facts), so training sees more of them than tests hold.
TRAINED_TWO_DIGITS = 0.6
SORTED_BATCHES = 20

Tokens = list[int]
Item = TypeVar("Item")


class Example(NamedTuple):
    """A problem and its solution; of the solution, IGNORED in `targets` where it is read but not learned."""

    prompt: Tokens
    solution: Tokens
    targets: Tokens

    @property
    def length(self) -> int:
        """Tokens of problem and solution."""
        return len(self.prompt) + len(self.solution)


class SolutionStream:
    """Endless batches of problems with their right solutions, from the `lm_train` split.

    Parameters
    ----------
    tokenizer
        Tokenizer with a chat template.
    families, shares
        The families of problems and how much of each.
    batch
        Problems in a batch. Batches hold problems of similar length.
    seed
        What the draws depend on.
    """

    def __init__(
        self,
        tokenizer: Any,
        families: Mapping[str, ArithmeticFamily],
        shares: Mapping[str, float],
        batch: int,
        seed: str,
    ) -> None:
        self._tokenizer = tokenizer
        trained = {"p_two_digits": TRAINED_TWO_DIGITS}
        largest = families[max(shares, key=lambda name: shares[name])]
        short = SHORT.model_copy(update={"answer": largest.answer, "p_slip": largest.p_slip})
        self._families = [*(families[name].model_copy(update=trained) for name in shares), short]
        total = sum(shares.values())
        self._weights = [*(share * (1 - SHORT_SHARE) / total for share in shares.values()), SHORT_SHARE]
        self._batch = batch
        self._rng = random.Random(seed)

    def batches(self, short_share: float | None = None) -> list[list[Example]]:
        """Draw some batches of examples, in random order."""
        weights = self._weights
        if short_share is not None:
            weights = [w * (1 - short_share) / (1 - SHORT_SHARE) for w in weights[:-1]] + [short_share]
        drawn = sorted(
            (self._draw(weights) for _ in range(self._batch * SORTED_BATCHES)), key=lambda example: example.length
        )
        batches = [drawn[i : i + self._batch] for i in range(0, len(drawn), self._batch)]
        self._rng.shuffle(batches)
        return batches

    def _draw(self, weights: Sequence[float]) -> Example:
        family = self._rng.choices(self._families, weights)[0]
        program = draw_program(family, self._rng)
        while split_of(program.fingerprint()) != "lm_train":
            program = draw_program(family, self._rng)
        prompt = encode_problem(self._tokenizer, program.render(family.wording))
        pieces = slipped(program, family.p_slip, self._rng) if family.p_slip else [("".join(program.steps()), True)]
        encoded = [(encode(self._tokenizer, text), learned) for text, learned in pieces]
        solution = [token for part, _ in encoded for token in part]
        targets = [token if learned else IGNORED for part, learned in encoded for token in part]
        end = self._tokenizer.eos_token_id
        return Example(prompt, [*solution, end], [*targets, end])


def seed_torch(seed: str) -> None:
    """Seed torch with a hash of the whole text."""
    torch.manual_seed(int.from_bytes(hashlib.sha256(seed.encode()).digest()[:8], "little") >> 1)


def encode(tokenizer: Any, text: str) -> Tokens:
    """Tokens of a text as it stands."""
    ids: Tokens = tokenizer.encode(text, add_special_tokens=False)
    return ids


def encode_problem(tokenizer: Any, text: str) -> Tokens:
    """Tokens of a problem in the chat template, up to where the solution begins."""
    rendered = tokenizer.apply_chat_template(
        [{"role": "user", "content": text}], add_generation_prompt=True, tokenize=False
    )
    return encode(tokenizer, rendered)


def pad(sequences: Sequence[Tokens], value: int = 0) -> torch.Tensor:
    """Stack sequences, filled up on the right, shape (rows, longest rounded up to 8)."""
    width = -(-max(map(len, sequences)) // 8) * 8
    return torch.tensor([[*sequence, *[value] * (width - len(sequence))] for sequence in sequences])


def solution_loss(model: Any, batch: Sequence[Example]) -> torch.Tensor:
    """Mean cross-entropy of the solutions' tokens given all before them."""
    ids = pad([example.prompt + example.solution for example in batch])
    targets = pad([[IGNORED] * (len(example.prompt) - 1) + example.targets for example in batch], IGNORED)
    hidden = model.model(input_ids=ids[:, : targets.shape[1]], use_cache=False).last_hidden_state
    counted = targets != IGNORED
    return cross_entropy(model.lm_head(hidden[counted]), targets[counted])


def batched(items: Sequence[Item], size: int) -> Iterator[Sequence[Item]]:
    """Yield runs of at most `size` items."""
    for start in range(0, len(items), size):
        yield items[start : start + size]


class Optimiser:
    """Muon for weight matrices, AdamW for embeddings, norms, biases and heads; warm-up and linear decay."""

    WARM_UP = 30
    FLOOR = 0.02

    def __init__(
        self,
        model: torch.nn.Module,
        steps: int,
        learning_rate: float,
        matrix_learning_rate: float,
        decay_share: float,
        extra: Sequence[torch.nn.Parameter] = (),
    ) -> None:
        named = list(model.named_parameters())
        matrices = [p for name, p in named if p.ndim == 2 and "embed" not in name and "lm_head" not in name]
        known = {id(p) for p in matrices}
        others = [p for _, p in named if id(p) not in known] + list(extra)
        self._all = [*matrices, *others]
        self._parts = [
            (
                torch.optim.Muon(matrices, lr=matrix_learning_rate, weight_decay=0.0, adjust_lr_fn="original"),
                matrix_learning_rate,
            ),
            (torch.optim.AdamW(others, lr=learning_rate, betas=(0.9, 0.95), weight_decay=0.0), learning_rate),
        ]
        self._steps, self._decay = steps, decay_share

    def step(self, position: int) -> None:
        """Update the parameters from their gradients, at a position of the schedule, and clear the gradients."""
        left = 1 - position / self._steps
        scale = min(1.0, (position + 1) / self.WARM_UP, max(self.FLOOR, left / self._decay) if self._decay else 1.0)
        torch.nn.utils.clip_grad_norm_(self._all, 1.0)
        for optimiser, rate in self._parts:
            for group in optimiser.param_groups:
                group["lr"] = rate * scale
            optimiser.step()
            optimiser.zero_grad(set_to_none=True)


def stream_batches(stream: SolutionStream, short: int) -> Iterator[list[Example]]:
    """Yield batches without end: `short` ones of short problems mostly, then the mix."""
    pool: list[list[Example]] = []
    for drawn in count():
        if not pool or drawn == short:
            pool = stream.batches(short_share=0.85 if drawn < short else None)
        yield pool.pop()
