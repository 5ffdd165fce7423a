"""What counts as a sound answer of vLLM; anything else is neither a step nor a score."""

from typing import Any

import pytest

from trim.errors import BackendError
from trim.models.protocols import FinishReason
from trim.models.served.vllm import parse_completion, parse_pooling

SOUND: dict[str, Any] = {
    "choices": [{"text": "a\n\n", "token_ids": [5, 6], "finish_reason": "stop", "stop_reason": "\n\n"}],
    "usage": {"prompt_tokens": 3, "completion_tokens": 2},
}


def changed(**choice: Any) -> dict[str, Any]:
    return {**SOUND, "choices": [{**SOUND["choices"][0], **choice}]}


def test_how_a_completion_ended() -> None:
    assert parse_completion(SOUND, 3) == ("a\n\n", (5, 6), FinishReason.SEPARATOR)
    assert parse_completion(changed(stop_reason=None), 3)[2] is FinishReason.END_OF_SEQUENCE
    assert parse_completion(changed(stop_reason=151643), 3)[2] is FinishReason.END_OF_SEQUENCE
    assert parse_completion(changed(finish_reason="length", stop_reason=None), 3)[2] is FinishReason.LENGTH


@pytest.mark.parametrize(
    "answer",
    [
        None,
        [],
        {"choices": []},
        {**SOUND, "choices": SOUND["choices"] * 2},
        {**SOUND, "usage": {"prompt_tokens": 2, "completion_tokens": 2}},  # the prompt was cut
        {**SOUND, "usage": {"prompt_tokens": 3, "completion_tokens": 1}},
        changed(token_ids=None),
        changed(token_ids=["5", "6"]),
        changed(text=None),
        changed(text="a"),  # stopped at a blank line that is not there
        changed(finish_reason="abort"),
        changed(stop_reason="###"),
        changed(stop_reason=True),
        changed(token_ids=[5, -6]),
        changed(token_ids=[5, 2**31]),
        changed(token_ids=[5, True]),
        changed(token_ids=[5, 6.0]),
        changed(token_ids="56"),
        changed(token_ids=[], text=""),
        changed(text="a\n\nb\n\n"),  # two steps
        {**SOUND, "usage": {"prompt_tokens": "3", "completion_tokens": 2}},
        {**SOUND, "usage": {"prompt_tokens": 3, "completion_tokens": 10**9}},
        {**SOUND, "usage": {"prompt_tokens": 3, "completion_tokens": -2}},
    ],
)
def test_an_unsound_completion_is_no_step(answer: Any) -> None:
    with pytest.raises(BackendError, match="^a completion"):
        parse_completion(answer, 3)


def test_a_completion_holds_no_more_tokens_than_were_asked_for() -> None:
    assert parse_completion(SOUND, 3, 2)[1] == (5, 6)
    with pytest.raises(BackendError, match="holds 2 token ids, of at most 1, after 3"):
        parse_completion(SOUND, 3, 1)


def test_half_a_letter_of_a_completion_is_kept_as_such() -> None:
    assert parse_completion(changed(text="\ud835\n\n"), 3)[0] == "\ufffd\n\n"


def pooled(*rows: Any, read: int = 9) -> dict[str, Any]:
    return {"data": [{"data": list(rows)}], "usage": {"prompt_tokens": read}}


def test_a_score_is_the_probability_of_the_second_class() -> None:
    assert parse_pooling(pooled([0.25, 0.75], [0.9, 0.1]), 2, 9) == [0.75, 0.1]


@pytest.mark.parametrize(
    "answer",
    [
        None,
        {"data": []},
        pooled(),
        pooled([0.25, 0.75]),  # a step short
        pooled([0.25, 0.75], [0.9, 0.1], [0.9, 0.1]),
        pooled([0.25, 0.75], [0.9, 0.1], read=8),
        pooled([0.25, 0.75], [-1.3, 2.3]),  # raw logits
        pooled([0.25, 0.75], [0.5, 0.9]),
        pooled([0.25, 0.75], [float("nan")] * 2),
        pooled([0.25, 0.75], ["0.5", "0.5"]),
        pooled([0.25, 0.75], [True, False]),
        pooled([0.25, 0.75], [float("inf"), 0.0]),
        pooled([0.25, 0.75], [-0.5, 1.5]),
        pooled([0.25, 0.75], [0.5]),
        pooled([0.25, 0.75], [0.5, 0.25, 0.25]),
        pooled([0.25, 0.75], {"0": 0.5, "1": 0.5}),
        pooled(0.25, 0.75),
    ],
)
def test_an_unsound_pooling_answer_is_no_score(answer: Any) -> None:
    with pytest.raises(BackendError, match="^a pooling answer"):
        parse_pooling(answer, 2, 9)
