"""The official client works against the server unchanged."""

import asyncio
from collections.abc import Callable, Iterator

import openai
import pytest
from deployed import opened
from live import live

from trim.deploy.answering import as_problem
from trim.models.protocols import ModelPair
from trim.rollout.engine import solve
from trim.routers.threshold import Threshold
from trim.serve.app import create_app

MakePair = Callable[[], ModelPair]
MESSAGES: list[openai.types.chat.ChatCompletionMessageParam] = [{"role": "user", "content": "problem 1"}]


@pytest.fixture(scope="module")
def client(scripted_pair: MakePair) -> Iterator[openai.OpenAI]:
    with live(create_app(opened(scripted_pair()), key="k")) as url:
        yield openai.OpenAI(base_url=f"{url}/v1", api_key="k", max_retries=0)


@pytest.fixture(scope="module")
def text(scripted_pair: MakePair) -> str:
    episode = asyncio.run(solve(as_problem("problem 1"), Threshold(0.7), scripted_pair(), 5, 30))
    return "".join(kept.step.text for kept in episode.kept)


def test_chat_completions(client: openai.OpenAI, text: str) -> None:
    answer = client.chat.completions.create(model="trim-thr-0.7", messages=MESSAGES, seed=5)
    assert answer.choices[0].message.content == text and answer.usage is not None
    assert answer.usage.model_extra and answer.usage.model_extra["strong_tokens"] > 0
    assert answer.model_extra and answer.model_extra["trim"]["seed"] == 5


def test_a_stream_of_chat_completions(client: openai.OpenAI, text: str) -> None:
    options: openai.types.chat.ChatCompletionStreamOptionsParam = {"include_usage": True}
    pieces = list(
        client.chat.completions.create(
            model="trim-thr-0.7", messages=MESSAGES, seed=5, stream=True, stream_options=options
        )
    )
    assert "".join(p.choices[0].delta.content or "" for p in pieces if p.choices) == text
    assert pieces[-1].usage and pieces[-1].usage.completion_tokens > 0


def test_completions(client: openai.OpenAI, text: str) -> None:
    assert client.completions.create(model="trim-thr-0.7", prompt="problem 1", seed=5).choices[0].text == text
    pieces = client.completions.create(model="trim-thr-0.7", prompt="problem 1", seed=5, stream=True)
    assert "".join(piece.choices[0].text for piece in pieces) == text


def test_options_of_the_router_and_the_list_of_models(client: openai.OpenAI) -> None:
    answer = client.chat.completions.create(
        model="strong-only", messages=MESSAGES, extra_body={"trim": {"max_strong_tokens": 0}}
    )
    assert answer.usage and answer.usage.model_extra and answer.usage.model_extra["strong_tokens"] == 0
    assert [model.id for model in client.models.list()][0] == "trim-thr-0.5"


def test_errors_are_those_of_the_client(client: openai.OpenAI) -> None:
    with pytest.raises(openai.NotFoundError, match="there is no model 'gpt'"):
        client.chat.completions.create(model="gpt", messages=MESSAGES)
    with pytest.raises(openai.AuthenticationError):
        client.with_options(api_key="other").models.list()
    with pytest.raises(openai.BadRequestError, match="one answer a request"):
        client.chat.completions.create(model="trim-thr-0.7", messages=MESSAGES, n=2)
