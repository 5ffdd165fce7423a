"""JSON over HTTP with patience: bounded concurrency, retries with back-off, and clear errors."""

from __future__ import annotations

import asyncio
import logging
import ssl
import time
from collections.abc import AsyncGenerator, Callable, Coroutine
from functools import cache
from typing import Any

import httpx
import tenacity

from trim.errors import BackendError

logger = logging.getLogger(__name__)

BUSY = {408, 425, 429, 500, 502, 503, 504, 529}
FIRST_WAIT, LONGEST_WAIT = 0.5, 30.0
SHOWN_CHARACTERS = 300
WARN_SECONDS = 10.0
LOCAL = ("127.0.0.1", "localhost")

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
        Base address.
    headers
        Sent with every request.
    timeout
        Seconds an answer may take.
    retry_for
        Seconds for which a request is tried again after 429, 5xx, a time-out or a lost connection.
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
        self.url = url.rstrip("/")
        self.trust_env = httpx.URL(url).host not in LOCAL  # a proxy knows nothing of this machine
        self.headers = headers or {}
        self._timeout = timeout
        self._retry_for = retry_for
        self._concurrency = concurrency
        self._check = check
        self._warned = -WARN_SECONDS
        self._loop: asyncio.AbstractEventLoop | None = None
        self._connections: AsyncGenerator[_Connections, None] | None = None
        self._opening: asyncio.Future[_Connections] | None = None

    async def post(self, path: str, body: dict[str, Any]) -> Any:
        """Post a request and return the JSON of the answer.

        Raises
        ------
        BackendError
            The server refused, answered with something else than JSON, or could not be reached in time.
        """
        retrying = tenacity.AsyncRetrying(
            retry=tenacity.retry_if_exception_type(_Transient),
            wait=_wait,
            stop=tenacity.stop_after_delay(self._retry_for),
            before_sleep=self._before_sleep,
            reraise=True,
        )
        try:
            return await retrying(self._post, path, body)
        except _Transient as error:
            raise BackendError(f"{self._at(path)}: {error}; gave up after {self._retry_for:g} s") from None

    async def _post(self, path: str, body: dict[str, Any]) -> Any:
        client, slots = await self._open()
        try:
            async with slots:
                answer = await client.post(self.url + path, json=body)
        except httpx.RequestError as error:  # no connection, connection lost, time-out
            raise _Transient(f"{type(error).__name__} {error}".strip()) from None
        if answer.status_code in BUSY:
            raise _Transient(f"status {answer.status_code}: {_shown(answer)}", _retry_after(answer))
        if answer.status_code != 200:
            raise BackendError(f"{self._at(path)}: status {answer.status_code}: {_shown(answer)}")
        try:
            return answer.json()
        except ValueError:
            raise BackendError(f"{self._at(path)}: answered no JSON: {_shown(answer)}") from None

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
            limits=httpx.Limits(max_connections=self._concurrency, max_keepalive_connections=self._concurrency),
            headers=self.headers,
            trust_env=self.trust_env,
            verify=ssl_context(),
        ) as client:
            yield client, asyncio.Semaphore(self._concurrency)


@cache
def ssl_context() -> ssl.SSLContext:
    """Return the certificates to trust; reading them takes longer than a request."""
    return httpx.create_ssl_context()


def _wait(state: tenacity.RetryCallState) -> float:
    """Seconds until the next attempt: doubled each time, with jitter, and no less than the server asked for."""
    backoff = tenacity.wait_exponential_jitter(multiplier=FIRST_WAIT, max=LONGEST_WAIT, jitter=FIRST_WAIT)(state)
    error = state.outcome.exception() if state.outcome else None
    return max(backoff, error.wait) if isinstance(error, _Transient) else backoff


def _retry_after(answer: httpx.Response) -> float:
    value = answer.headers.get("retry-after", "")
    return float(value) if value.replace(".", "", 1).isdigit() else 0.0


def _shown(answer: httpx.Response) -> str:
    return " ".join(answer.text.split())[:SHOWN_CHARACTERS] or "(empty)"


class Once:
    """Runs a coroutine at the first call; every call waits for its end, and gets its error."""

    def __init__(self, start: Callable[[], Coroutine[Any, Any, None]]) -> None:
        self._start = start
        self._task: asyncio.Task[None] | None = None

    async def __call__(self) -> None:
        """Wait until the coroutine has run."""
        if self._task is None:
            self._task = asyncio.get_running_loop().create_task(self._start())
        await asyncio.shield(self._task)
