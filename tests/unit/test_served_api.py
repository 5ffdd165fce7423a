"""A strong model behind a chat API: it must continue a message, and it is asked no more than may be paid."""

import asyncio
import json
import math
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from fake_server import FakeServer

from trim.config.models import ApiModel, Sampling, ServedModel
from trim.config.serving import Endpoint, Price, Serving
from trim.errors import BackendError, ConfigError, InputError
from trim.models.opening import open_pair
from trim.models.protocols import SEPARATOR, FinishReason, Prefix, Step
from trim.models.served.api import UNKNOWN_TOKEN, paid_tokens, parse_chat
from trim.models.served.servers import Servers
from trim.models.served.spending import Ledger, SpendingLimit
from trim.models.store import StepStore

PRICE = Price(input_per_million=1.0, output_per_million=10.0, max_cost=1.0, max_tokens=100_000)
SAMPLING = Sampling(max_step_tokens=16)
DEEP = Prefix.of("problem", "one\n\n", "two\n\n")
Chat = dict[str, Any]


def chat(text: str, reason: str = "stop", tokens: int = 5, **choice: Any) -> Chat:
    message = {"role": "assistant", "content": text}
    usage = {"prompt_tokens": 20, "completion_tokens": tokens}
    return {"choices": [{"index": 0, "message": message, "finish_reason": reason, **choice}], "usage": usage}


def nested(depth: int) -> Any:
    return [nested(depth - 1)] if depth else []


def continues(body: Chat) -> Chat:
    """Go on where the assistant's message ends, and say nothing of what stopped it."""
    last = body["messages"][-1]
    return chat("4" if last["content"].endswith("3\n\n") else f"after {last['content'].strip()[-3:]}")


def ask(
    answer: Callable[[Chat], Chat],
    store: StepStore,
    prefixes: list[Prefix],
    price: Price = PRICE,
    **spec: Any,
) -> tuple[list[Step], list[Chat]]:
    model = ApiModel(**{"name": "big", "prefill": "prefix", **spec})
    weak = ServedModel(name="unused")
    with FakeServer("big", {"/v1/chat/completions": answer}) as server:
        endpoint = Endpoint(url=server.url, price=price)
        with closing(Servers(Serving(endpoints={"strong": endpoint}, retry_for=0.1), store.root)) as servers:
            pair = open_pair(weak, model, {}, SAMPLING, store, 1, servers=servers)
            try:
                return [asyncio.run(pair.strong.step(prefix, 0)) for prefix in prefixes], server.requests
            finally:
                store.flush()


def test_a_step_continues_the_assistants_message(tmp_path: Path) -> None:
    steps, (probe, first, deep) = ask(
        continues, StepStore(tmp_path, "p"), [Prefix.of("problem"), DEEP], system="Box it."
    )
    assert steps[0] == Step("after lem\n\n", (UNKNOWN_TOKEN,) * 5, 20, FinishReason.SEPARATOR)
    assert steps[1].text == "after two\n\n"
    assert probe["messages"][-1]["content"] == "1\n\n2\n\n3\n\n"
    assert first["messages"] == [{"role": "system", "content": "Box it."}, {"role": "user", "content": "problem"}]
    assert deep["messages"][-1] == {"role": "assistant", "content": "one\n\ntwo\n\n", "prefix": True}
    assert deep["stop"] == [SEPARATOR]
    assert deep["max_tokens"] == 16
    assert 0 <= deep["seed"] < 2**31


@pytest.mark.parametrize(
    ("prefill", "keys"),
    [
        ("continue_final_message", {"continue_final_message": True, "add_generation_prompt": False}),
        ("assistant_last", {}),
    ],
)
def test_how_an_api_is_asked_to_continue(tmp_path: Path, prefill: str, keys: dict[str, Any]) -> None:
    _, (_, first, deep) = ask(
        continues, StepStore(tmp_path, "p"), [Prefix.of("problem"), DEEP], prefill=prefill, extra={"top_k": 20}
    )
    assert deep["messages"][-1] == {"role": "assistant", "content": "one\n\ntwo\n\n"}
    assert {key: deep.get(key) for key in keys} == keys
    assert not any(key in first for key in keys)
    assert deep["top_k"] == 20


@pytest.mark.parametrize("text", ["1", "", "Sure! 4", "The next number is 4."])
def test_an_api_that_does_not_continue_is_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(
        BackendError, match="the strong server .* big does not continue an assistant message with prefill"
    ):
        ask(lambda body: chat(text), StepStore(tmp_path, "p"), [DEEP])


@pytest.mark.parametrize(
    ("word", "finish"),
    [(word, FinishReason.END_OF_SEQUENCE) for word in ("eos", "eos_token", "end_turn", "END_TURN", "complete")]
    + [(word, FinishReason.SEPARATOR) for word in ("stop", "STOP", "stop_sequence")]
    + [(word, FinishReason.LENGTH) for word in ("length", "max_tokens", "MAX_TOKENS", "model_length")],
)
def test_why_an_answer_ended_in_the_words_of_any_api(word: str, finish: FinishReason) -> None:
    step = parse_chat(chat("so 5", word))
    assert step.finish is finish
    assert step.text == "so 5" + SEPARATOR * (finish is FinishReason.SEPARATOR)


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("half \ud83d", "half \ufffd"),
        ("\ude00 half", "\ufffd half"),
        ("two \ude00\ud83d halves", "two \ufffd\ufffd halves"),
        ("whole \ud83d\ude00", "whole \U0001f600"),
        ("é ½ 答 \U0001f600\0", "é ½ 答 \U0001f600\0"),
    ],
)
def test_half_a_letter_becomes_the_sign_for_unreadable_text(text: str, kept: str) -> None:
    assert parse_chat(chat(text, "eos")).text == kept


@pytest.mark.parametrize(
    "message",
    [
        {"content": "five", "reasoning_content": "Let me think"},
        {"content": "five", "reasoning": "Let me think\n\n", "tool_calls": None},
        {"content": [{"type": "text", "text": "fi"}, {"type": "text", "text": "ve"}]},
        {
            "content": [
                {"type": "thinking", "thinking": [{"type": "text", "text": "hm"}]},
                {"type": "text", "text": "five"},
            ]
        },
    ],
)
def test_a_step_is_what_was_written_without_what_was_thought(message: Chat) -> None:
    answer = chat("")
    answer["choices"][0]["message"] = message
    assert parse_chat(answer).text == "five\n\n"


@pytest.mark.parametrize("reason", ["length", "stop", "eos"])
@pytest.mark.parametrize("content", [None, "", []])
def test_reasoning_that_leaves_no_text_is_no_step(content: Any, reason: str) -> None:
    answer = chat("", reason, tokens=16)
    answer["choices"][0]["message"] = {"content": content, "reasoning_content": "Let me think"}
    with pytest.raises(BackendError, match="spent its 16 tokens on reasoning .* by a key of `extra`"):
        parse_chat(answer)
    hidden = chat("", reason, tokens=16)
    hidden["usage"]["completion_tokens_details"] = {"reasoning_tokens": 16, "audio_tokens": None}
    with pytest.raises(BackendError, match="spent its 16 tokens on reasoning"):
        parse_chat(hidden)


def test_an_api_that_ignores_the_stop_string_is_refused_at_the_first_look(tmp_path: Path) -> None:
    with pytest.raises(BackendError, match="goes on behind a blank line .*ignores `stop`"):
        ask(lambda body: chat("4\n\n5\n\n6"), StepStore(tmp_path, "p"), [DEEP])


def test_a_null_in_extra_leaves_a_key_out(tmp_path: Path) -> None:
    def strict(body: Chat) -> Chat:
        if {"seed", "top_p"} & body.keys():
            raise ValueError("extra inputs are not permitted")
        return continues(body)

    with pytest.raises(BackendError, match=r"status 400: .*not permitted.*a null in the model's `extra` leaves it out"):
        ask(strict, StepStore(tmp_path / "a", "p"), [DEEP])
    extra = {"seed": None, "top_p": None, "random_seed": 3}
    steps, requests = ask(strict, StepStore(tmp_path / "b", "p"), [DEEP], extra=extra)
    assert steps[0].text == "after two\n\n"
    assert all(request["random_seed"] == 3 for request in requests)


@pytest.mark.parametrize("path", ["/v1", "/v1/", "/", ""])
def test_an_address_may_end_as_other_clients_want_it(tmp_path: Path, path: str) -> None:
    with FakeServer("big", {"/v1/chat/completions": continues}) as server:
        endpoints = {"strong": Endpoint(url=server.url + path, price=PRICE)}
        with closing(Servers(Serving(endpoints=endpoints, retry_for=0.1), tmp_path)) as servers:
            model = ApiModel(name="big", prefill="prefix")
            pair = open_pair(ServedModel(name="m"), model, {}, SAMPLING, StepStore(tmp_path, "p"), 1, servers=servers)
            assert asyncio.run(pair.strong.step(DEEP, 0)).text == "after two\n\n"


def test_an_answer_that_is_no_step_was_paid_for_as_well(tmp_path: Path) -> None:
    def answer(body: Chat) -> Chat:
        return continues(body) if body["messages"][-1]["content"].endswith("3\n\n") else chat("a", "content_filter")

    with pytest.raises(BackendError, match="ended in an unknown way"):
        ask(answer, StepStore(tmp_path, "p"), [DEEP])
    (path,) = (tmp_path / "spending").rglob("*.jsonl")
    assert [json.loads(line)[:2] for line in path.read_text().splitlines()] == [[20, 5]] * 2


def test_an_answer_without_a_count_is_paid_at_its_most() -> None:
    assert paid_tokens(chat("a"), 100, 30) == (20, 5)
    for usage in (None, {}, {"prompt_tokens": -1, "completion_tokens": 2}, {"prompt_tokens": "9"}):
        assert paid_tokens({**chat("a"), "usage": usage}, 100, 30) == (100, 30)


def test_how_a_chat_answer_ended() -> None:
    assert parse_chat(chat("a", stop_reason=SEPARATOR)).finish is FinishReason.SEPARATOR
    assert parse_chat(chat("a", stop_reason=None)).finish is FinishReason.END_OF_SEQUENCE
    assert parse_chat(chat("a")) == Step("a\n\n", (UNKNOWN_TOKEN,) * 5, 20, FinishReason.SEPARATOR)
    assert parse_chat(chat("", tokens=1)) == Step("", (UNKNOWN_TOKEN,), 20, FinishReason.END_OF_SEQUENCE)
    assert parse_chat(chat("a", matched_stop=SEPARATOR)).finish is FinishReason.SEPARATOR
    assert parse_chat(chat("a", matched_stop=151645)).finish is FinishReason.END_OF_SEQUENCE
    assert parse_chat(chat("a", "length")).finish is FinishReason.LENGTH


@pytest.mark.parametrize(
    "answer",
    [
        None,
        {},
        {"choices": []},
        {**chat("a"), "choices": chat("a")["choices"] * 2},
        {**chat("a"), "usage": None},
        chat("a", "content_filter"),
        chat("a", tokens=0),
        chat("a", tokens=-5),
        chat("a", tokens=10**9),
        chat("a", tokens=10**5000),
        chat("a", tokens=True),
        chat("a", tokens="5"),  # type: ignore[arg-type]
        chat("a", tokens=5.5),  # type: ignore[arg-type]
        chat("a", tokens=math.inf),  # type: ignore[arg-type]
        chat(7),  # type: ignore[arg-type]
        chat({"text": "a"}),  # type: ignore[arg-type]
        chat("a", None),  # type: ignore[arg-type]
        chat("a\n\nb\n\n"),
        {**chat("a"), "choices": "a"},
        {**chat("a"), "choices": nested(900)},
    ],
)
def test_an_unsound_chat_answer_is_no_step(answer: Any) -> None:
    with pytest.raises(BackendError, match="^a chat answer"):
        parse_chat(answer)


def test_more_tokens_than_were_asked_for_are_no_step() -> None:
    assert parse_chat(chat("a", tokens=16), 16).tokens == 16
    with pytest.raises(BackendError, match="counts 17 tokens, of at most 16"):
        parse_chat(chat("a", tokens=17), 16)


def test_what_was_paid_is_counted_over_jobs(tmp_path: Path) -> None:
    prefixes = [Prefix.of(f"problem {i}") for i in range(3)]
    ask(continues, StepStore(tmp_path, "p"), prefixes[:2])
    ask(continues, StepStore(tmp_path, "p"), prefixes)  # two steps are in the store
    lines = [line for path in (tmp_path / "spending").rglob("*.jsonl") for line in path.read_text().splitlines()]
    assert [json.loads(line)[:2] for line in lines] == [[20, 5]] * 5  # three steps, and a look at the API by each job


@pytest.mark.parametrize("limit", [{"max_tokens": 260}, {"max_cost": 0.00075}])
def test_no_request_goes_over_the_limit(tmp_path: Path, limit: dict[str, Any]) -> None:
    price = PRICE.model_copy(update=limit)
    prefixes = [Prefix.of(f"problem {i}") for i in range(30)]
    asked: list[Chat] = []

    def answer(body: Chat) -> Chat:
        asked.append(body)
        return continues(body)

    with pytest.raises(
        SpendingLimit, match=r"spending limit: \d+ tokens for 0.00\d+ USD are paid .*; raise max_cost or"
    ):
        ask(answer, StepStore(tmp_path, "p"), prefixes, price)
    tokens = 25 * len(asked)
    assert tokens <= price.max_tokens
    assert len(asked) * (20 * 1.0 + 5 * 10.0) / 1e6 <= price.max_cost
    assert len(asked) > 4
    before = len(asked)
    with pytest.raises(SpendingLimit):  # a rerun does not begin to count anew
        ask(answer, StepStore(tmp_path, "p"), prefixes, price)
    assert len(asked) <= before + 1
    steps, _ = ask(answer, StepStore(tmp_path, "p"), prefixes)  # with a higher limit it finishes
    assert len(steps) == 30


def test_requests_under_way_count(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path, Price(input_per_million=0, output_per_million=0, max_cost=1.0, max_tokens=100))
    with ledger.request(40, 10) as paid:
        with pytest.raises(SpendingLimit), ledger.request(41, 10):
            pass
        with ledger.request(40, 10):
            pass
        paid(1, 1)
    with ledger.request(88, 10), pytest.raises(SpendingLimit), ledger.request(1, 1):
        pass


def test_half_a_line_of_a_killed_job_is_not_counted(tmp_path: Path) -> None:
    (tmp_path / "killed.jsonl").write_text("[30, 10]\n[50, ")
    ledger = Ledger(tmp_path, Price(input_per_million=0, output_per_million=0, max_cost=1.0, max_tokens=100))
    with ledger.request(50, 10):
        pass
    with pytest.raises(SpendingLimit, match="spending limit: 40 tokens"), ledger.request(51, 10):
        pass


@pytest.mark.parametrize(
    "line", ["[30, -10]", "[30]", "[1, 2, 3]", "[1, 2, 3, 4]", '["3", 1]', "[1.5, 1]", "{}", "[true, 1]", "no", ""]
)
def test_a_ledger_that_cannot_be_read_is_not_guessed_at(tmp_path: Path, line: str) -> None:
    (tmp_path / "other.jsonl").write_text(f"[30, 10]\n{line}\n")
    ledger = Ledger(tmp_path, Price(input_per_million=0, output_per_million=0, max_cost=1.0, max_tokens=100))
    with pytest.raises(InputError, match="other.jsonl: .* is no entry of the spending ledger"), ledger.request(1, 1):
        pass


def test_a_price_is_required(tmp_path: Path) -> None:
    endpoints = {"strong": Endpoint(url="http://127.0.0.1:9")}
    model = ApiModel(name="big", prefill="prefix")
    with closing(Servers(Serving(endpoints=endpoints), tmp_path)) as servers:
        with pytest.raises(ConfigError, match="serving.endpoints.strong must name its url and price"):
            open_pair(ServedModel(name="m"), model, {}, SAMPLING, StepStore(tmp_path, "p"), 1, servers=servers)
    with pytest.raises(ConfigError, match="opened without servers"):
        open_pair(ServedModel(name="m"), model, {}, SAMPLING, StepStore(tmp_path, "p"), 1)
