"""What ends a step and what ends a whole solution, on tokens that are given."""

from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from trim.config.models import Sampling
from trim.models.generator import StepGenerator
from trim.models.protocols import FinishReason, Prefix, Step

PIECES = ["<end>", "a", "\n\n", "b", "\n"]


class Scripted:
    """A reader behind whose rows the given tokens are likeliest, one after the other."""

    batch_size, free, outputs = 1, 1, "logits"
    model = SimpleNamespace(generation_config=SimpleNamespace(eos_token_id=0))

    def __init__(self, tokens: Sequence[int]) -> None:
        self.tokens = list(tokens)
        self.prompts = SimpleNamespace(tokenizer=self, length=lambda prefix: 7)

    def decode(self, ids: Sequence[int], **_: Any) -> str:
        return "".join(PIECES[i] for i in ids)

    def bucket(self, prefix: Prefix) -> None:
        return None

    def room(self, prefix: Prefix) -> int:
        return 99

    def open(self, prefix: Prefix, tokens: int) -> int:
        return 0

    def logits(self) -> tuple[list[int], torch.Tensor]:
        return [0], torch.nn.functional.one_hot(torch.tensor([self.tokens.pop(0)]), len(PIECES)).float()

    def feed(self, row: int, token: int) -> None:
        pass

    def close(self, *_: Any) -> None:
        pass


def written(tokens: Sequence[int], limit: int, one_go: bool) -> Step:
    sampling = Sampling(temperature=0, max_step_tokens=limit)
    generator = StepGenerator(Scripted(tokens), "x", sampling, one_go=one_go)  # type: ignore[arg-type]
    (step,) = generator.run([(Prefix.of("why"), 0)])
    return step


@pytest.mark.parametrize(
    ("one_go", "text", "finish"),
    [
        (False, "a\n\n", FinishReason.SEPARATOR),
        (True, "a\n\nb\n\n", FinishReason.END_OF_SEQUENCE),
    ],
)
def test_a_blank_line_ends_a_step_and_no_solution(one_go: bool, text: str, finish: FinishReason) -> None:
    step = written([1, 2, 3, 4, 4, 0], 9, one_go)
    assert (step.text, step.finish, step.prompt_tokens) == (text, finish, 7)


@pytest.mark.parametrize("one_go", [False, True])
def test_both_end_at_their_limit(one_go: bool) -> None:
    step = written([1, 3, 1, 3], 3, one_go)
    assert (step.text, step.tokens, step.finish) == ("aba", 3, FinishReason.LENGTH)


@pytest.mark.parametrize(("one_go", "finish"), [(False, FinishReason.SEPARATOR), (True, FinishReason.LENGTH)])
def test_a_blank_line_may_fall_on_the_limit(one_go: bool, finish: FinishReason) -> None:
    step = written([1, 3, 2, 3], 3, one_go)
    assert (step.text, step.tokens, step.finish) == ("ab\n\n", 3, finish)
