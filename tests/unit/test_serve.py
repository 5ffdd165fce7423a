"""The server on scripted models: answers of the engine, limits, what it counts, and a PRM that is down."""

import asyncio
import json
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import httpx
import pytest
from deployed import BrokenScorer, opened
from live import live

from trim.config.models import ServedPRM
from trim.deploy.answering import as_problem
from trim.deploy.manifest import FolderPRM
from trim.errors import BackendError, RefusedRequest
from trim.models.protocols import ModelPair, Prefix, Score, Step
from trim.rollout.engine import Episode, solve
from trim.routers.threshold import Threshold
from trim.serve.app import Patience, create_app
from trim.serve.front import Limits

MakePair = Callable[[], ModelPair]
CHAT, COMPLETIONS = "/v1/chat/completions", "/v1/completions"


def asked(text: str = "problem 1", **more: Any) -> dict[str, Any]:
    return {"model": "trim-thr-0.5", "messages": [{"role": "user", "content": text}], "seed": 3, **more}


def events(answer: httpx.Response) -> list[dict[str, Any]]:
    lines = [line.removeprefix("data: ") for line in answer.text.split("\n\n") if line]
    assert lines[-1] == "[DONE]"
    return [json.loads(line) for line in lines[:-1]]


def expected(pair: ModelPair, text: str = "problem 1", seed: int = 3, threshold: float = 0.5) -> Episode:
    return asyncio.run(solve(as_problem(text), Threshold(threshold), pair, seed, 30))


class SlowModel:
    """A model, or a PRM, that waits before each step or score, or fails."""

    def __init__(self, model: Any, seconds: float, fails: BackendError | None = None) -> None:
        self.model, self.seconds, self.fails, self.identity = model, seconds, fails, model.identity
        self.at_once = self.most_at_once = 0

    async def step(self, prefix: Prefix, replicate: int) -> Step:
        if self.fails:
            raise self.fails
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        try:
            await asyncio.sleep(self.seconds)
            step: Step = await self.model.step(prefix, replicate)
            return step
        finally:
            self.at_once -= 1

    async def score(self, prefix: Prefix, step: str) -> Score:
        await asyncio.sleep(self.seconds)
        score: Score = await self.model.score(prefix, step)
        return score


@pytest.fixture
def client(scripted_pair: MakePair) -> Iterator[httpx.Client]:
    with live(create_app(opened(scripted_pair()))) as url, httpx.Client(base_url=url) as found:
        yield found


# --- answers ----------------------------------------------------------------------------


def test_an_answer_is_the_solution_of_the_engine(client: httpx.Client, scripted_pair: MakePair) -> None:
    answer = client.post(CHAT, json=asked()).raise_for_status().json()
    episode = expected(scripted_pair())
    message = answer["choices"][0]["message"]
    assert message == {"role": "assistant", "content": "".join(kept.step.text for kept in episode.kept)}
    assert answer["object"] == "chat.completion" and answer["model"] == "trim-thr-0.5"
    usage, costs = answer["usage"], episode.costs
    assert usage["completion_tokens"] == costs.strong_tokens + costs.weak_tokens > 0
    assert usage["total_tokens"] == usage["completion_tokens"] + usage["prompt_tokens"]
    for name in ("strong_tokens", "weak_tokens", "discarded_tokens", "prm_tokens", "strong_calls"):
        assert usage[name] == getattr(costs, name)
    steps = answer["trim"]["steps"]
    assert [step["author"] == "strong" for step in steps] == [kept.by_strong for kept in episode.kept]
    assert answer["trim"]["answer"] == episode.answer
    for step in steps:
        assert step["reason"] == ("router" if step["score"] < 0.5 else "kept") and f"{step['score']:.3f}" in step["why"]


def test_a_seed_replays_a_request_and_another_one_does_not(client: httpx.Client) -> None:
    first = client.post(CHAT, json=asked(seed=None)).json()
    again = [client.post(CHAT, json=asked(seed=first["trim"]["seed"])).json() for _ in range(2)]
    assert [a["trim"] for a in again] == [first["trim"]] * 2
    assert [a["choices"] for a in again] == [first["choices"]] * 2
    assert len({a["system_fingerprint"] for a in (first, *again)}) == 1
    assert client.post(CHAT, json=asked(seed=None)).json()["trim"]["seed"] != first["trim"]["seed"]


def test_a_stream_brings_a_step_at_a_time_and_the_same_answer(client: httpx.Client) -> None:
    whole = client.post(CHAT, json=asked()).json()
    found = events(client.post(CHAT, json=asked(stream=True, stream_options={"include_usage": True})))
    *steps, last, counted = found
    assert steps[0]["choices"][0]["delta"]["role"] == "assistant"
    assert "".join(p["choices"][0]["delta"]["content"] for p in steps) == whole["choices"][0]["message"]["content"]
    assert [piece["trim"]["step"] for piece in steps] == whole["trim"]["steps"] == last["trim"]["steps"]
    assert last["choices"][0]["finish_reason"] == whole["choices"][0]["finish_reason"]
    assert counted["choices"] == [] and counted["usage"] == whole["usage"]
    assert {piece["object"] for piece in found} == {"chat.completion.chunk"} and len({p["id"] for p in found}) == 1


def test_completions_answer_the_same_in_their_own_form(client: httpx.Client) -> None:
    content = client.post(CHAT, json=asked()).json()["choices"][0]["message"]["content"]
    body = {"model": "trim-thr-0.5", "prompt": "problem 1", "seed": 3}
    assert client.post(COMPLETIONS, json=body).json()["choices"][0]["text"] == content
    pieces = events(client.post(COMPLETIONS, json=body | {"stream": True}))
    assert "".join(piece["choices"][0]["text"] for piece in pieces) == content


def test_system_messages_stand_before_the_problem(client: httpx.Client, scripted_pair: MakePair) -> None:
    messages = [{"role": "system", "content": "be brief"}, {"role": "user", "content": [{"type": "text", "text": "7"}]}]
    answer = client.post(CHAT, json=asked(messages=messages)).json()
    episode = expected(scripted_pair(), "be brief\n\n7")
    assert answer["choices"][0]["message"]["content"] == "".join(kept.step.text for kept in episode.kept)


def test_an_answer_ends_before_the_step_that_would_be_too_long(client: httpx.Client) -> None:
    whole = client.post(CHAT, json=asked()).json()
    first = whole["trim"]["steps"][0]["tokens"]
    short = client.post(CHAT, json=asked(max_tokens=first)).json()
    assert short["choices"][0]["finish_reason"] == "length" and short["usage"]["completion_tokens"] == first
    assert short["trim"]["steps"] == whole["trim"]["steps"][:1]
    piece = events(client.post(CHAT, json=asked(max_tokens=first, stream=True)))[-1]
    assert piece["choices"][0]["finish_reason"] == "length"


def test_a_budget_of_strong_tokens_is_kept(client: httpx.Client) -> None:
    texts = [f"problem {i}" for i in range(6)]
    bodies = [asked(t, model="strong-only", trim={"max_strong_tokens": 40}) for t in texts]
    answers = [client.post(CHAT, json=body).json() for body in bodies]
    assert all(a["usage"]["strong_tokens"] <= 40 for a in answers)
    assert any(step["reason"] == "budget" for a in answers for step in a["trim"]["steps"])


def test_keys_that_change_nothing_are_named(client: httpx.Client) -> None:
    answer = client.post(CHAT, json=asked(temperature=0.2, user="me", tools=[], stop=None)).json()
    assert answer["trim"]["ignored"] == ["temperature", "user"]


# --- what is refused --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "status", "sentence"),
    [
        ({"model": "gpt"}, 404, "there is no model 'gpt'; there are trim-thr-0.5"),
        ({"model": "trim-thr-" + 400 * "9"}, 404, "there is no model 'trim-thr-9999"),
        ({"messages": []}, 400, "messages"),
        ({"messages": [{"role": "user", "content": " "}]}, 400, "the problem is empty"),
        ({"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]}, 400, "one problem"),
        ({"messages": [{"role": "user", "content": [{"type": "image_url"}]}]}, 400, "only text"),
        ({"n": 2}, 400, "n: one answer"),
        ({"tools": [{}]}, 400, "tools"),
        ({"stop": ["x"]}, 400, "stop"),
        ({"seed": "x"}, 400, "seed"),
        ({"trim": {"budget": 3}}, 400, "trim.budget"),
    ],
)
def test_what_cannot_be_honoured_is_refused(
    client: httpx.Client, change: dict[str, Any], status: int, sentence: str
) -> None:
    for stream in (False, True):
        answer = client.post(CHAT, json=asked(stream=stream) | change)
        assert answer.status_code == status
        assert sentence in answer.json()["error"]["message"]


HALF_A_LETTER = rb'{"model": "trim-thr-0.5", "messages": [{"role": "user", "content": "\ud800"}]}'


@pytest.mark.parametrize("body", [b"", b"{", b"null", b"[]", b"\xff", b"[" * 100_000, HALF_A_LETTER])
def test_what_is_no_json_is_refused(client: httpx.Client, body: bytes) -> None:
    answer = client.post(CHAT, content=body)
    assert answer.status_code == 400 and answer.json()["error"]["type"] == "invalid_request_error"


def test_what_asks_for_no_answer_is_told_so_in_the_same_form(client: httpx.Client) -> None:
    for answer, status, sentence in (
        (client.post("/chat/completions", json=asked()), 404, "answers are at /v1/chat/completions"),
        (client.get(CHAT), 405, "completions by POST"),
    ):
        assert answer.status_code == status and sentence in answer.json()["error"]["message"]


def test_what_is_refused_is_counted(scripted_pair: MakePair) -> None:
    with live(create_app(opened(scripted_pair()), key="k")) as url:
        httpx.post(url + CHAT, json=asked())
        httpx.post(url + CHAT, json=asked(model="gpt"), headers={"Authorization": "Bearer k"})
        page = httpx.get(url + "/metrics").text
    for status in (401, 404):
        assert f'trim_requests_total{{model="",outcome="refused {status}"}} 1.0' in page


def test_sizes_are_limited(scripted_pair: MakePair) -> None:
    limits = Limits(body_bytes=2000, problem_characters=100)
    with live(create_app(opened(scripted_pair()), limits)) as url:
        assert httpx.post(url + CHAT, json=asked("x" * 100)).status_code == 200
        for length, what in ((101, "characters"), (3000, "bytes")):
            answer = httpx.post(url + CHAT, json=asked("x" * length))
            assert answer.status_code == 413 and what in answer.json()["error"]["message"]


def test_a_key_is_asked_for_where_there_is_one(scripted_pair: MakePair) -> None:
    with live(create_app(opened(scripted_pair()), key="s3cret")) as url:
        for headers, status in (
            ({}, 401),
            ({"Authorization": "Bearer x"}, 401),
            ({"Authorization": "Bearer s3cret"}, 200),
        ):
            assert httpx.post(url + CHAT, json=asked(), headers=headers).status_code == status
            assert httpx.get(url + "/v1/models", headers=headers).status_code == status
        assert httpx.get(url + "/health").status_code == 200


def test_more_requests_than_there_are_places_for_wait_or_are_refused(scripted_pair: MakePair) -> None:
    pair = scripted_pair()
    slow = SlowModel(pair.weak, 0.1)
    app = create_app(opened(replace(pair, weak=slow)), Limits(concurrent=2, waiting=2))
    with live(app) as url, ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda i: httpx.post(url + CHAT, json=asked(f"p {i}"), timeout=60), range(8)))
        statuses = [answer.status_code for answer in answers]
        assert slow.most_at_once == 2
        assert set(statuses) == {200, 429} and statuses.count(200) >= 4
        refused = answers[statuses.index(429)]
        assert refused.headers["retry-after"] == "1" and refused.json()["error"]["code"] == "overloaded"
        assert httpx.post(url + CHAT, json=asked(), timeout=60).status_code == 200  # places are given back


def test_a_request_that_takes_too_long_ends(scripted_pair: MakePair) -> None:
    pair = scripted_pair()
    slow = SlowModel(pair.weak, 30)
    with live(create_app(opened(replace(pair, weak=slow)), Limits(seconds=0.3))) as url:
        for stream in (False, True):
            answer = httpx.post(url + CHAT, json=asked(stream=stream), timeout=20)
            assert answer.status_code == 504 and answer.json()["error"]["code"] == "timeout"
        give_up = time.monotonic() + 20
        while slow.at_once and time.monotonic() < give_up:
            time.sleep(0.01)
        assert slow.at_once == 0  # nothing goes on behind it


def test_a_client_that_goes_away_ends_its_request(scripted_pair: MakePair) -> None:
    pair = scripted_pair()
    slow = SlowModel(pair.strong, 0.2)
    body = asked(model="strong-only", stream=True)
    with live(create_app(opened(replace(pair, strong=slow)))) as url, httpx.Client(base_url=url, timeout=60) as client:
        with client.stream("POST", CHAT, json=body) as answer:
            next(answer.iter_lines())
        give_up = time.monotonic() + 60
        while value(page := client.get("/metrics").text, "trim_requests_under_way") and time.monotonic() < give_up:
            time.sleep(0.05)
    assert 'trim_requests_total{model="strong-only",outcome="gone"} 1.0' in page
    assert len(pair.strong.calls) < len(expected(scripted_pair(), threshold=2.0).kept)


@pytest.mark.parametrize("stream", [False, True])
def test_a_client_that_goes_away_before_the_first_step_ends_its_request(scripted_pair: MakePair, stream: bool) -> None:
    pair = scripted_pair()
    slow = SlowModel(pair.weak, 600)
    with live(create_app(opened(replace(pair, weak=slow)), Limits(concurrent=1))) as url:
        with pytest.raises(httpx.ReadTimeout):
            httpx.post(url + CHAT, json=asked(stream=stream), timeout=1)
        give_up = time.monotonic() + 60
        while (slow.at_once or not slow.most_at_once) and time.monotonic() < give_up:
            time.sleep(0.01)
        assert slow.at_once == 0 and slow.most_at_once == 1
        assert httpx.post(url + CHAT, json=asked(model="strong-only"), timeout=60).status_code == 200  # a place is free


def test_a_request_that_a_model_refuses_is_the_clients(scripted_pair: MakePair) -> None:
    pair = scripted_pair()
    refusing = SlowModel(pair.weak, 0, fails=RefusedRequest("it is too long"))
    with live(create_app(opened(replace(pair, weak=refusing)))) as url:
        answer = httpx.post(url + CHAT, json=asked())
        assert answer.status_code == 400 and "it is too long" in answer.json()["error"]["message"]


def test_a_model_that_fails_is_a_bad_gateway(scripted_pair: MakePair) -> None:
    pair = scripted_pair()
    gone = SlowModel(pair.weak, 0, fails=BackendError("the weak server has gone"))
    with live(create_app(opened(replace(pair, weak=gone)))) as url:
        answer = httpx.post(url + CHAT, json=asked())
        assert answer.status_code == 502 and "the weak server has gone" in answer.json()["error"]["message"]


# --- a PRM that is down, and what is counted ---------------------------------------------


def value(page: str, name: str) -> float:
    return sum(float(line.split()[-1]) for line in page.splitlines() if line.startswith((f"{name} ", f"{name}{{")))


def test_while_the_prm_is_down_the_strong_model_answers_and_is_counted(scripted_pair: MakePair) -> None:
    pair = scripted_pair()
    broken = BrokenScorer(pair.prm, 1)
    app = create_app(opened(replace(pair, prm=broken)), patience=Patience(pause=3600))
    with live(app) as url:
        assert httpx.get(url + "/health").json() == {"status": "ok", "prm": "up"}
        steps = httpx.post(url + CHAT, json=asked()).json()["trim"]["steps"]
        assert [step["reason"] == "prm_down" for step in steps] == [False] + [True] * (len(steps) - 1)
        assert all(step["author"] == "strong" for step in steps[1:])
        assert httpx.get(url + "/health").json()["prm"] == "down"
        again = httpx.post(url + CHAT, json=asked("another")).json()["trim"]
        assert again["prm_down"] and broken.asked == 2  # it is left alone
        page = httpx.get(url + "/metrics").text
    assert value(page, "trim_prm_down_steps_total") == len(steps) - 1 + len(again["steps"])
    assert value(page, "trim_prm_up") == 0


def test_a_prm_that_came_back_is_asked_again(scripted_pair: MakePair) -> None:
    pair = scripted_pair()
    broken = BrokenScorer(pair.prm, 0)
    with live(create_app(opened(replace(pair, prm=broken)), patience=Patience(pause=0))) as url:
        assert httpx.post(url + CHAT, json=asked()).json()["trim"]["prm_down"]
        broken.left = 100
        assert not httpx.post(url + CHAT, json=asked()).json()["trim"]["prm_down"]


@pytest.mark.parametrize("prm", [FolderPRM(name="prm"), ServedPRM(name="prm")])
def test_a_slow_prm_is_given_up_on_behind_an_endpoint_alone(
    scripted_pair: MakePair, prm: FolderPRM | ServedPRM
) -> None:
    pair = scripted_pair()
    slow = SlowModel(pair.prm, 0.2)
    ready = opened(replace(pair, prm=slow), prm=prm)
    with live(create_app(ready, patience=Patience(seconds=0.01, pause=3600))) as url:
        answer = httpx.post(url + CHAT, json=asked(), timeout=60).json()
    assert answer["trim"]["prm_down"] is isinstance(prm, ServedPRM)


def test_a_prm_that_runs_out_of_time_by_itself_is_down_too(scripted_pair: MakePair) -> None:
    pair = scripted_pair()
    broken = BrokenScorer(pair.prm, 0, TimeoutError())
    with live(create_app(opened(replace(pair, prm=broken)), patience=Patience(pause=3600))) as url:
        assert httpx.post(url + CHAT, json=asked()).json()["trim"]["prm_down"]


def test_a_step_that_the_prm_refuses_does_not_bring_it_down(scripted_pair: MakePair) -> None:
    pair = scripted_pair()
    broken = BrokenScorer(pair.prm, 0, RefusedRequest("too long for the PRM"))
    with live(create_app(opened(replace(pair, prm=broken)), patience=Patience(pause=3600))) as url:
        assert httpx.post(url + CHAT, json=asked()).json()["trim"]["prm_down"]
        assert httpx.get(url + "/health").json()["prm"] == "up"
        broken.left = 100
        assert not httpx.post(url + CHAT, json=asked("another")).json()["trim"]["prm_down"]


def test_metrics_add_up(client: httpx.Client) -> None:
    answers = [
        client.post(CHAT, json=asked(f"problem {i}", model=m)).json() for i, m in enumerate(["trim-thr-0.4"] * 4)
    ]
    client.post(CHAT, json=asked("x", model="strong-only"))
    page = client.get("/metrics").text
    for kind in ("weak", "discarded", "prm"):
        line = f'trim_tokens_total{{kind="{kind}"}}'
        assert f"{line} {sum(a['usage'][f'{kind}_tokens'] for a in answers):.1f}" in page
    assert value(page, "trim_request_seconds_count") == 5 and value(page, "trim_requests_under_way") == 0
    assert 'trim_requests_total{model="trim-thr",outcome="answered"} 4.0' in page
    assert 'trim_requests_total{model="strong-only",outcome="answered"} 1.0' in page
    assert 0 < value(page, "trim_strong_share") < 1


def test_models_are_listed(client: httpx.Client) -> None:
    found = client.get("/v1/models").json()["data"]
    assert [model["id"] for model in found] == ["trim-thr-0.5", "weak-only", "strong-only"]
    assert client.get("/v1/models/trim-thr-0.9").json()["id"] == "trim-thr-0.9"
    assert client.get("/v1/models/gpt").status_code == 404
