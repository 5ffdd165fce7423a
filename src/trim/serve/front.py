"""From a request to its answer: who may ask, how many at once, for how long, and how the answer is told."""

from __future__ import annotations

import asyncio
import hmac
import json
import logging
import secrets
import time
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from trim.deploy.answering import Answering, ToldStep, as_problem
from trim.deploy.opening import Opened
from trim.errors import InputError, RefusedRequest, TrimError
from trim.rollout.tables import OperatingPoint
from trim.serve.host import ModelHost
from trim.serve.metrics import Metrics
from trim.serve.wire import Form, Refused, Wish, failed, piece_of, told, usage

logger = logging.getLogger(__name__)

DONE = "data: [DONE]\n\n"


@dataclass(frozen=True, slots=True)
class Limits:
    """What one server takes.

    Attributes
    ----------
    concurrent, waiting
        Requests that are answered at once, and that wait for a place; more are refused.
    body_bytes, problem_characters
        Size of a request, and of the problem in it.
    seconds
        That a request may take, waiting included.
    strong_tokens
        Budget of strong tokens of every request; None for none. A request may ask for less.
    """

    concurrent: int = 16
    waiting: int = 64
    body_bytes: int = 1 << 20
    problem_characters: int = 50_000
    seconds: float = 600.0
    strong_tokens: int | None = None


@dataclass
class Exchange:
    """One request under way."""

    form: Form
    wish: Wish
    answering: Answering
    label: str
    fingerprint: str
    id: str = field(default_factory=lambda: secrets.token_hex(12))
    created: int = field(default_factory=lambda: int(time.time()))
    started: float = field(default_factory=time.monotonic)
    shown: list[ToldStep] = field(default_factory=list)
    full: bool = False

    @property
    def finish(self) -> str:
        """Why the answer ended, in OpenAI's words."""
        return "length" if self.full or self.answering.ended_by_length else "stop"

    @property
    def usage(self) -> dict[str, int]:
        """Tokens."""
        return usage(self.answering, self.shown)

    @property
    def told(self) -> dict[str, Any]:
        """What the router says of its answer."""
        return told(self.answering, self.shown, self.wish.ignored)

    def body(self, kind: str, choices: list[dict[str, Any]], more: Mapping[str, Any]) -> dict[str, Any]:
        """Return an answer or a piece of one."""
        head = {"id": f"{self.form.prefix}-{self.id}", "object": kind, "created": self.created}
        return {**head, "model": self.wish.model, "system_fingerprint": self.fingerprint, "choices": choices, **more}

    def whole(self) -> dict[str, Any]:
        """Return the answer in one piece."""
        text = "".join(step.text for step in self.shown)
        choice = self.form.choice(text, self.finish, piece=False)
        more = {"usage": self.usage, "trim": self.told}
        return self.body(self.form.whole, [choice], more)

    def piece(self, step: ToldStep) -> str:
        """Return a step as an event of a stream."""
        choice = self.form.choice(step.text, None, piece=True, first=step.position == 0)
        return _event(self.body(self.form.piece, [choice], {"trim": piece_of(step)}))

    def last_pieces(self) -> list[str]:
        """Return the events behind the last step."""
        choice = self.form.choice("", self.finish, piece=True)
        events = [self.body(self.form.piece, [choice], {"trim": self.told})]
        if self.wish.stream_options and self.wish.stream_options.include_usage:
            events.append(self.body(self.form.piece, [], {"usage": self.usage}))
        return [*map(_event, events), DONE]


class Front:
    """Answers requests.

    Parameters
    ----------
    key
        That clients must name; None lets everybody in.
    fingerprint
        Of the deployed router: it changes where answers may.
    """

    def __init__(
        self, opened: Opened, host: ModelHost, metrics: Metrics, limits: Limits, key: str | None, fingerprint: str
    ) -> None:
        self.metrics, self.limits = metrics, limits
        self._opened, self._host, self._key, self._fingerprint = opened, host, key, fingerprint
        self._places = asyncio.Semaphore(limits.concurrent)
        self._waiting = 0

    def admit(self, authorization: str) -> None:
        """Refuse a client without the key."""
        given = authorization.removeprefix("Bearer ").encode()
        if self._key is not None and not hmac.compare_digest(given, self._key.encode()):
            raise Refused(401, "the API key is missing or wrong", code="invalid_api_key")

    def point(self, name: str) -> OperatingPoint:
        """Return what decides under a model name."""
        try:
            return self._opened.at(name)
        except InputError as error:
            raise Refused(404, str(error), "model", "model_not_found") from None

    def exchange(self, form: Form, wish: Wish) -> Exchange:
        """Return a request as something to answer."""
        text = wish.text
        if not text:
            raise Refused(400, "the problem is empty", "messages" if form.chat else "prompt")
        if len(text) > self.limits.problem_characters:
            raise Refused(413, f"the problem has {len(text)} characters, of at most {self.limits.problem_characters}")
        name, point = wish.model, self.point(wish.model)
        given = [most for most in (wish.trim.max_strong_tokens, self.limits.strong_tokens) if most is not None]
        seed = secrets.randbits(31) if wish.seed is None else wish.seed
        answering = Answering(self._opened, point, as_problem(text), seed, min(given, default=None), falls_back=True)
        known = name in self._opened.deployed.manifest.points or point.router != "trim-thr"
        return Exchange(form, wish, answering, name if known else "trim-thr", self._fingerprint)

    async def whole(self, exchange: Exchange) -> dict[str, Any]:
        """Answer in one piece."""
        async with aclosing(self._answered(exchange)) as steps:
            async for _ in steps:
                pass
        return exchange.whole()

    async def pieces(self, exchange: Exchange) -> AsyncGenerator[str, None]:
        """Answer step by step; an error behind the first step is an event of the stream, and its last."""
        begun = False
        try:
            async with aclosing(self._answered(exchange)) as steps:
                async for step in steps:
                    begun = True
                    yield exchange.piece(step)
        except Refused as error:
            if not begun:
                raise
            yield _event(error.body())
            yield DONE
            return
        for event in exchange.last_pieces():
            yield event

    async def _answered(self, exchange: Exchange) -> AsyncGenerator[ToldStep, None]:
        """Yield the steps of an answer, within all limits, and count them; any error is one that a client can read."""
        outcome, most, written = "gone", exchange.wish.most_tokens, 0
        deadline = asyncio.get_running_loop().time() + self.limits.seconds
        try:
            async with self._place(deadline), aclosing(self._host.steps(exchange.answering)) as steps:
                while (step := await self._next(steps, deadline)) is not None:
                    if not exchange.shown:
                        self.metrics.first.observe(time.monotonic() - exchange.started)
                    self.metrics.step(step)
                    written += step.tokens
                    if most is not None and written > most:
                        exchange.full = True
                        break
                    exchange.shown.append(step)
                    yield step
            outcome = "full" if exchange.full else "answered"
        except Refused as error:
            outcome = f"refused {error.status}"
            raise
        finally:
            self.metrics.ended(exchange.answering, exchange.label, outcome, time.monotonic() - exchange.started)

    async def _next(self, steps: AsyncIterator[ToldStep], deadline: float) -> ToldStep | None:
        try:
            async with asyncio.timeout_at(deadline):
                return await anext(steps, None)
        except TimeoutError:
            raise Refused(504, f"no answer within {self.limits.seconds:g} s", code="timeout") from None
        except RefusedRequest as error:
            raise Refused(400, f"a model behind this server refuses this: {error}", code="model_refused") from None
        except TrimError as error:
            logger.error("a model failed: %s", error)
            raise Refused(502, f"a model behind this server failed: {error}", code="model_failed") from None
        except Exception:
            logger.exception("a request failed")
            raise failed() from None

    @asynccontextmanager
    async def _place(self, deadline: float) -> AsyncIterator[None]:
        """Wait for a place among the requests that are answered at once."""
        if self._places.locked() and self._waiting >= self.limits.waiting:
            raise Refused(429, "too many requests are waiting; try again in a moment", code="overloaded")
        self._waiting += 1
        self.metrics.waiting.set(self._waiting)
        try:
            async with asyncio.timeout_at(deadline):
                await self._places.acquire()
        except TimeoutError:
            raise Refused(504, f"no place within {self.limits.seconds:g} s", code="timeout") from None
        finally:
            self._waiting -= 1
            self.metrics.waiting.set(self._waiting)
        self.metrics.under_way.inc()
        try:
            yield
        finally:
            self._places.release()
            self.metrics.under_way.dec()


def _event(body: Mapping[str, Any]) -> str:
    return f"data: {json.dumps(body, ensure_ascii=False)}\n\n"
