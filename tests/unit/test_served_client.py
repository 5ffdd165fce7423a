"""HTTP with patience: how long a server is waited for, and what of its answers is believed."""

import asyncio
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import pytest
from fake_server import FakeServer

from trim.errors import BackendError, RefusedRequest
from trim.models.served.client import HttpClient, Once

GOOD = {"text": '{"fine": 1}'}


@pytest.fixture
def server() -> Iterator[FakeServer]:
    with FakeServer("m", {"/": lambda body: {"fine": 1}}) as server:
        yield server


def post(server: FakeServer, retry_for: float = 0.8, parse: Any = lambda answer: answer) -> Any:
    client = HttpClient("the weak server", server.url, retry_for=retry_for)
    return asyncio.run(client.post("/", {}, parse))


def busy(wait: str) -> dict[str, Any]:
    return {"status": 429, "headers": {"Retry-After": wait}}


IN_AN_HOUR = format_datetime(datetime.now(UTC) + timedelta(hours=1), True)


@pytest.mark.parametrize("wait", ["8", "8.5", "9" * 400, pytest.param(IN_AN_HOUR, id="in an hour")])
def test_a_server_is_waited_for_no_longer_than_told(server: FakeServer, wait: str) -> None:
    server.faults = [busy(wait)] * 10
    started = time.monotonic()
    with pytest.raises(BackendError, match=r"status 429: .*gave up after 0.8 s"):
        post(server)
    assert 0.7 < time.monotonic() - started < 3
    assert len(server.requests) == 2  # once more at the end


def test_a_pause_that_a_server_asks_for_is_kept(server: FakeServer) -> None:
    server.faults = [busy("2")]
    started = time.monotonic()
    assert post(server, retry_for=20) == {"fine": 1}
    assert 1.9 < time.monotonic() - started < 6


@pytest.mark.parametrize("wait", ["²", "٣", "-5", "soon", "", "1e3", "nan", "Wed, 99 Oct 2026 99:99:99 GMT", "0x10"])
def test_a_pause_that_cannot_be_read_is_none(server: FakeServer, wait: str) -> None:
    fault = busy("0")
    fault["headers"]["Retry-After"] = wait.encode().decode("latin-1")  # as bytes of UTF-8 stand in a header
    server.faults = [fault]
    started = time.monotonic()
    assert post(server, retry_for=20) == {"fine": 1}
    assert time.monotonic() - started < 3


@pytest.mark.parametrize(
    "text",
    [
        '{"error": {"message": "slow down", "code": 429}}',
        '{"error": {"message": "slow down", "code": "503"}}',
        '{"error": "overloaded"}',
        '{"object": "error", "message": "busy", "code": 500}',
        '{"choices": [{"finish_reason": "error", "error": {"code": 502}}]}',
        '{"choices": [{"finish_reason": "error"}]}',
    ],
)
def test_an_error_within_an_answer_may_pass(server: FakeServer, text: str) -> None:
    server.faults = [{"text": text}]
    assert post(server, retry_for=20) == {"fine": 1}
    server.faults = [{"text": text}] * 10
    with pytest.raises(BackendError, match=r"status 200 with an error in it: .*gave up after 0.8 s"):
        post(server)


@pytest.mark.parametrize(
    "text", ['{"error": {"code": 401}}', '{"error": {"code": "404"}}', '{"choices": [{"error": {"code": 400}}]}']
)
def test_an_error_within_an_answer_that_stays_is_told_at_once(server: FakeServer, text: str) -> None:
    server.faults = [{"text": text}]
    with pytest.raises(BackendError, match=r"^the weak server \(.*\): status 200 with an error in it: [^;]*$"):
        post(server, retry_for=20)
    assert len(server.requests) == 1


@pytest.mark.parametrize("text", ['{"error": null}', '{"choices": [{"error": null}, 7]}', '{"choices": 7}', "[]", "7"])
def test_an_answer_without_an_error_is_handed_on(server: FakeServer, text: str) -> None:
    server.faults = [{"text": text}]
    assert post(server) is not None


@pytest.mark.parametrize("text", ["[" * 100_000, '{"a": ' + "9" * 5000 + "}", "", "NaN,", "data: {}\n\n"])
def test_what_is_no_json_is_told_in_one_line(server: FakeServer, text: str) -> None:
    server.faults = [{"text": text}]
    with pytest.raises(BackendError, match=r"answered no JSON: .*$") as caught:
        post(server)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 500


def test_an_answer_of_absurd_length_is_not_read(server: FakeServer) -> None:
    server.faults = [{"text": "[" + "0," * (1 << 23) + "0]"}]
    with pytest.raises(BackendError, match=r"answered 16,777,219 bytes"):
        post(server)


@pytest.mark.parametrize("status", [400, 422])
def test_a_refused_request_is_known_as_such(server: FakeServer, status: int) -> None:
    server.faults = [status]
    with pytest.raises(RefusedRequest, match=f"status {status}"):
        post(server)


def test_what_failed_once_is_tried_again_by_the_next(server: FakeServer) -> None:
    async def thrice() -> list[Any]:
        client = HttpClient("the weak server", server.url, retry_for=0)
        once = Once(lambda: client.post("/", {}, lambda answer: None))
        return [await asyncio.gather(once(), once(), return_exceptions=True) for _ in range(3)]

    server.faults = [500]
    failed, *fine = asyncio.run(thrice())
    assert [type(error) for error in failed] == [BackendError] * 2
    assert fine == [[None, None]] * 2 and len(server.requests) == 2
