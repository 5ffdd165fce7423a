"""The server: routes, and the life of what stands behind them."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse, Response, StreamingResponse
from prometheus_client import CONTENT_TYPE_LATEST
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from trim import __version__
from trim.config.experiment import config_hash
from trim.config.models import ServedPRM
from trim.deploy.opening import Opened, model_names
from trim.serve.front import Front, Limits
from trim.serve.host import ModelHost, PatientScorer
from trim.serve.metrics import Metrics
from trim.serve.wire import CHAT, COMPLETION, ChatRequest, CompletionRequest, Form, Refused, failed, read_request

logger = logging.getLogger(__name__)

RETRY_AFTER = "1"
ELSEWHERE = {
    404: "there is no such page here; answers are at /v1/chat/completions and /v1/completions",
    405: "this page is asked another way: completions by POST, everything else by GET",
}
Found = TypeVar("Found")


@dataclass(frozen=True, slots=True)
class Patience:
    """How long the PRM is waited for.

    Attributes
    ----------
    seconds
        That a score may take, of a PRM behind an endpoint: one in process takes its turn, and is there.
    pause
        Seconds for which a PRM that failed is not asked again.
    """

    seconds: float = 10.0
    pause: float = 30.0


def fingerprint_of(opened: Opened) -> str:
    """Return what changes where answers may: with models and decisions, not with addresses, prices or reviews."""
    ignored: Any = {"serving", "prices", "review", "origin", "cache_mb"}
    pair = opened.pair
    models = [pair.weak.identity, pair.strong.identity, pair.prm.identity if pair.prm else ""]
    facts = opened.deployed.manifest.model_dump(mode="json", exclude=ignored)
    return f"trim-{config_hash({**facts, 'models': models})}"


def create_app(
    opened: Opened, limits: Limits | None = None, key: str | None = None, patience: Patience | None = None
) -> FastAPI:
    """Return the server of a deployed router, all of whose points are read.

    Parameters
    ----------
    key
        That clients must name; None lets everybody in.

    Raises
    ------
    TrimError
        If a point cannot be read.
    """
    opened.load()
    patience = patience or Patience()
    scorer = opened.pair.prm
    seconds = patience.seconds if isinstance(opened.deployed.manifest.prm, ServedPRM) else None
    prm = PatientScorer(scorer, seconds, patience.pause) if scorer is not None else None
    patient = replace(opened, pair=replace(opened.pair, prm=prm))
    host, metrics = ModelHost(), Metrics(lambda: prm is not None and prm.is_up)
    front = Front(patient, host, metrics, limits or Limits(), key, fingerprint_of(opened))

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        host.start()
        try:
            yield
        finally:
            host.stop()

    app = FastAPI(title="TRIM", version=__version__, lifespan=lifespan, docs_url=None, redoc_url=None, openapi_url=None)

    _word_errors(app)

    @app.get("/health")
    async def health() -> dict[str, Any]:
        return {"status": "ok", "prm": "absent" if prm is None else "up" if prm.is_up else "down"}

    @app.get("/metrics")
    async def measured() -> Response:
        return Response(metrics.page(), media_type=CONTENT_TYPE_LATEST)

    @app.get("/v1/models")
    async def models(request: Request) -> dict[str, Any]:
        front.admit(request.headers.get("authorization", ""))
        names = [name for name in model_names(opened.deployed) if "<" not in name]
        return {"object": "list", "data": [_model(name) for name in names]}

    @app.get("/v1/models/{name}")
    async def model(request: Request, name: str) -> dict[str, Any]:
        front.admit(request.headers.get("authorization", ""))
        front.point(name)
        return _model(name)

    @app.post("/v1/chat/completions")
    async def chat(request: Request) -> Response:
        return await _answer(front, request, CHAT)

    @app.post("/v1/completions")
    async def completions(request: Request) -> Response:
        return await _answer(front, request, COMPLETION)

    return app


def _word_errors(app: FastAPI) -> None:
    """Have all that is refused, and what fails, answered as OpenAI's API words it."""

    @app.exception_handler(Refused)
    async def refuse(_: Request, error: Refused) -> JSONResponse:
        headers = {"Retry-After": RETRY_AFTER} if error.status in (429, 504) else {}
        return JSONResponse(error.body(), error.status, headers)

    @app.exception_handler(HTTPException)
    async def no_route(_: Request, error: HTTPException) -> JSONResponse:
        what = ELSEWHERE.get(error.status_code, str(error.detail))
        return JSONResponse(Refused(error.status_code, what).body(), error.status_code, error.headers)

    @app.exception_handler(Exception)
    async def fault(_: Request, error: Exception) -> JSONResponse:
        return JSONResponse(failed().body(), 500)  # and the traceback goes into the log


def _model(name: str) -> dict[str, Any]:
    return {"id": name, "object": "model", "created": 0, "owned_by": "trim"}


async def _answer(front: Front, request: Request, form: Form) -> Response:
    try:
        front.admit(request.headers.get("authorization", ""))
        body = await _body(request, front.limits.body_bytes)
        exchange = front.exchange(form, read_request(ChatRequest if form.chat else CompletionRequest, body))
    except Refused as error:
        front.metrics.refused(error.status)
        raise
    if not exchange.wish.stream:
        return JSONResponse(await _while_there(request, front.whole(exchange)))
    pieces = front.pieces(exchange)
    first = await _while_there(request, anext(pieces))  # an error up to here has a status of its own
    headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    return StreamingResponse(_with(first, pieces), media_type="text/event-stream", headers=headers)


async def _while_there(request: Request, answer: Awaitable[Found]) -> Found:
    """Wait for an answer as long as the client does; where it goes away, the answer is given up."""
    answering = asyncio.ensure_future(answer)
    going = asyncio.ensure_future(request.receive())  # the body was read: all that can still come is the end
    try:
        await asyncio.wait((answering, going), return_when=asyncio.FIRST_COMPLETED)
        if not answering.done():
            raise Refused(499, "the client has gone")
        return answering.result()
    finally:
        answering.cancel()
        going.cancel()
        await asyncio.gather(answering, going, return_exceptions=True)


async def _with(first: str, rest: AsyncGenerator[str, None]) -> AsyncGenerator[str, None]:
    async with aclosing(rest):
        yield first
        async for piece in rest:
            yield piece


async def _body(request: Request, most: int) -> bytes:
    """Read the body of a request, no more of it than is taken."""
    read = bytearray()
    try:
        async for piece in request.stream():
            read += piece
            if len(read) > most:
                raise Refused(413, f"the request has more than {most} bytes; send less, or raise --body-kb")
    except ClientDisconnect:
        raise Refused(499, "the client has gone") from None
    return bytes(read)
