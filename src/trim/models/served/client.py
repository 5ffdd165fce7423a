"""JSON over HTTP with patience: bounded concurrency, retries with back-off, and clear errors."""

from __future__ import annotations

import asyncio
import logging
import re
import ssl
import time
from collections.abc import AsyncGenerator, Callable, Coroutine
from contextlib import suppress
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import cache
from typing import Any, TypeVar

import httpx
import tenacity

from trim.errors import BackendError, RefusedRequest

logger = logging.getLogger(__name__)

BUSY = {408, 425, 429, 500, 502, 503, 504, 529}
FIRST_WAIT, LONGEST_WAIT = 0.5, 30.0
KEPT_SECONDS = 2.0  # of an idle connection: vLLM closes it after 5, and a request may come just then
SHOWN_CHARACTERS = 300
WARN_SECONDS = 10.0
MOST_BYTES = 1 << 24  # far more than any answer to one step; read as JSON it takes many times that
LOCAL = ("127.0.0.1", "localhost")

Parsed = TypeVar("Parsed")
_Connections = tuple[httpx.AsyncClient, asyncio.Semaphore]


class _Transient(Exception):
    """A failure that may pass; `wait` is how many seconds the server asked for."""

    def __init__(self, what: str, wait: float = 0.0) -> None:
        super().__init__(what)
        self.wait = wait


class HttpClient:
    """Posts JSON to one server.

    Parameters
    ----------
    name
        What the server is called in errors.
    url
        Base address, with or without the `/v1` that other clients want at its end.
    headers
        Sent with every request.
    timeout
        Seconds an answer may take.
    retry_for
        Seconds for which a request is tried again after 429, 5xx, a time-out or a lost connection. A server that
        asks for a longer pause (`Retry-After`) is asked once more at the end of that time.
    concurrency
        Requests under way at once; the others wait.
    check
        Called before a request is tried again; raises where the server is known to be gone for good.
    """

    def __init__(
        self,
        name: str,
        url: str,
        *,
        headers: dict[str, str] | None = None,
        timeout: float = 600.0,
        retry_for: float = 300.0,
        concurrency: int = 256,
        check: Callable[[], None] = lambda: None,
    ) -> None:
        self.name = name
        self.url = url.rstrip("/").removesuffix("/v1")
        self.trust_env = httpx.URL(url).host not in LOCAL  # a proxy knows nothing of this machine
        self.headers = headers or {}
        self._timeout = timeout
        self._retry_for = retry_for
        self._concurrency = concurrency
        self._check = check
        self.looked_at: Callable[[], Coroutine[Any, Any, None]] | None = None
        """Looks at the server, before the first request to it."""
        self._warned = -WARN_SECONDS
        self._loop: asyncio.AbstractEventLoop | None = None
        self._connections: AsyncGenerator[_Connections, None] | None = None
        self._opening: asyncio.Future[_Connections] | None = None

    async def post(self, path: str, body: dict[str, Any], parse: Callable[[Any], Parsed]) -> Parsed:
        """Post a request and return what its answer says.

        Parameters
        ----------
        parse
            Reads the JSON of the answer; its errors are told with the server's name and address.

        Raises
        ------
        BackendError
            The server refused, answered with something else than JSON or than what was asked for, or could not be
            reached in time.
        """
        retrying = tenacity.AsyncRetrying(
            retry=tenacity.retry_if_exception_type(_Transient),
            wait=self._wait,
            stop=tenacity.stop_after_delay(self._retry_for),
            before_sleep=self._before_sleep,
            reraise=True,
        )
        if self.looked_at is not None:
            await self.looked_at()
        try:
            answer: Any = await retrying(self._post, path, body)
        except _Transient as error:
            raise BackendError(f"{self._at(path)}: {error}; gave up after {self._retry_for:g} s") from None
        try:
            return parse(answer)
        except BackendError as error:
            raise BackendError(self._hidden(f"{self.name} ({self.url}): {error}")) from None

    async def get(self, path: str, timeout: float) -> Any:
        """Return the JSON of a page, which is asked for once."""
        client, _ = await self._open()
        return (await client.get(self.url + path, timeout=timeout)).json()

    def _shown(self, answer: httpx.Response) -> str:
        return " ".join(self._hidden(answer.text).split())[:SHOWN_CHARACTERS] or "(empty)"

    def _hidden(self, text: str) -> str:
        """Return a text without the keys that were sent: what answers may echo them."""
        for value in self.headers.values():
            if key := value.rpartition(" ")[2]:
                text = text.replace(key, "(key)")
        return text

    async def _post(self, path: str, body: dict[str, Any]) -> Any:
        client, slots = await self._open()
        try:
            async with slots:
                answer = await client.post(self.url + path, json=body)
        except httpx.RequestError as error:  # no connection, connection lost, time-out
            raise _Transient(f"{type(error).__name__} {error}".strip()) from None
        if answer.status_code in BUSY:
            raise _Transient(f"status {answer.status_code}: {self._shown(answer)}", _retry_after(answer))
        if answer.status_code != 200:
            kind = RefusedRequest if answer.status_code in (400, 422) else BackendError
            raise kind(f"{self._at(path)}: status {answer.status_code}: {self._shown(answer)}")
        if len(answer.content) > MOST_BYTES:
            raise BackendError(f"{self._at(path)}: answered {len(answer.content):,} bytes")
        try:
            content = answer.json()
        except (ValueError, RecursionError):  # or an integer of thousands of digits, or brackets as deep
            raise BackendError(f"{self._at(path)}: answered no JSON: {self._shown(answer)}") from None
        for code in _errors_within(content):
            what = f"status 200 with an error in it: {self._shown(answer)}"
            if code in BUSY or code is None:
                raise _Transient(what)
            raise BackendError(f"{self._at(path)}: {what}")
        return content

    def _wait(self, state: tenacity.RetryCallState) -> float:
        """Seconds until the next attempt: doubled each time, with jitter, and no less than the server asked for."""
        backoff = tenacity.wait_exponential_jitter(multiplier=FIRST_WAIT, max=LONGEST_WAIT, jitter=FIRST_WAIT)(state)
        error = state.outcome.exception() if state.outcome else None
        asked = error.wait if isinstance(error, _Transient) else 0.0
        left = self._retry_for - (state.seconds_since_start or 0.0)
        return max(0.0, min(max(backoff, asked), left))

    def _at(self, path: str) -> str:
        return f"{self.name} ({self.url}{path})"

    def _before_sleep(self, state: tenacity.RetryCallState) -> None:
        error = state.outcome.exception() if state.outcome else None
        if time.monotonic() - self._warned > WARN_SECONDS:  # thousands of requests may meet the same trouble
            self._warned = time.monotonic()
            logger.warning("%s: %s; attempt %d, trying again", self.name, error, state.attempt_number)
        self._check()

    async def _open(self) -> _Connections:
        """Return the connections of the running event loop."""
        loop = asyncio.get_running_loop()
        if self._opening is None or loop is not self._loop:
            self._loop, self._connections = loop, self._connect()
            self._opening = asyncio.ensure_future(anext(self._connections))
        return await asyncio.shield(self._opening)

    async def _connect(self) -> AsyncGenerator[_Connections, None]:
        """Hold the connections open; a loop that ends closes its asynchronous generators, so these too."""
        async with httpx.AsyncClient(
            timeout=self._timeout,
            limits=httpx.Limits(
                max_connections=self._concurrency,
                max_keepalive_connections=self._concurrency,
                keepalive_expiry=KEPT_SECONDS,
            ),
            headers=self.headers,
            trust_env=self.trust_env,
            verify=ssl_context(),
        ) as client:
            yield client, asyncio.Semaphore(self._concurrency)


@cache
def ssl_context() -> ssl.SSLContext:
    """Return the certificates to trust; reading them takes longer than a request."""
    return httpx.create_ssl_context()


def _retry_after(answer: httpx.Response) -> float:
    """Seconds that a server asks to wait, said in seconds or as a date; 0 where it says nothing that can be read."""
    value = answer.headers.get("retry-after", "").strip()
    if re.fullmatch(r"[0-9]+(\.[0-9]+)?", value):
        return float(value)
    with suppress(ValueError, TypeError, IndexError, OverflowError):
        return max((parsedate_to_datetime(value) - datetime.now(UTC)).total_seconds(), 0.0)
    return 0.0


def _errors_within(content: Any) -> list[int | None]:
    """Return the HTTP codes of the errors that an answer of status 200 reports; None where one has no code."""
    if not isinstance(content, dict):
        return []
    choices = content.get("choices")
    places = [content, *(choices if isinstance(choices, list) else [])]
    codes: list[int | None] = []
    for place in (place for place in places if isinstance(place, dict)):
        if place.get("error") or place.get("object") == "error" or place.get("finish_reason") == "error":
            error = place.get("error") or place
            code = error.get("code") if isinstance(error, dict) else None
            codes.append(next((status for status in range(400, 600) if code in (status, str(status))), None))
    return codes


class Once:
    """Runs a coroutine at the first call; every call waits for its end. One that failed is run again by the next."""

    def __init__(self, start: Callable[[], Coroutine[Any, Any, None]]) -> None:
        self._start = start
        self._task: asyncio.Task[None] | None = None

    async def __call__(self) -> None:
        """Wait until the coroutine has run."""
        task = self._task
        if task is None or (task.done() and (task.cancelled() or task.exception() is not None)):
            task = self._task = asyncio.get_running_loop().create_task(self._start())
        await asyncio.shield(task)
