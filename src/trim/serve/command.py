"""`trim serve`: open a deployed router and answer until the process is asked to end."""

from __future__ import annotations

import os
import signal
import socket
from contextlib import suppress
from pathlib import Path
from types import FrameType
from typing import Annotated, Any

import typer

from trim.errors import ConfigError, InputError, one_sentence


def serve(
    deployed: Annotated[Path | None, typer.Option(help="Folder of a deployed router; else this experiment's.")] = None,
    configfile: Annotated[list[Path] | None, typer.Option(help="Overlay of the experiment; may repeat.")] = None,
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port; 0 for a free one.")] = 8080,
    key_env: Annotated[str | None, typer.Option(help="Environment variable with the key that clients name.")] = None,
    concurrent: Annotated[int, typer.Option(min=1, help="Requests that are answered at once.")] = 16,
    waiting: Annotated[int, typer.Option(min=0, help="Requests that wait for a place; more are refused.")] = 64,
    seconds: Annotated[float, typer.Option(min=0.1, help="Most seconds of a request.")] = 600.0,
    body_kb: Annotated[int, typer.Option(min=1, help="Most kilobytes of a request.")] = 1024,
    strong_tokens: Annotated[int | None, typer.Option(min=0, help="Most strong tokens of a request.")] = None,
    prm_seconds: Annotated[float, typer.Option(min=0.01, help="Seconds a score of an endpoint may take.")] = 10.0,
    prm_pause: Annotated[float, typer.Option(min=0, help="Seconds for which a PRM that failed is left alone.")] = 30.0,
    step_store: Annotated[Path | None, typer.Option(help="Keep steps and scores here, to replay exactly.")] = None,
    grace: Annotated[int, typer.Option(min=0, help="Seconds that requests under way get at the end.")] = 30,
    threads: Annotated[int, typer.Option(min=1, help="Threads for models that run in this process.")] = 1,
) -> None:
    """Answer chat completions and completions as an OpenAI-compatible server, each step by the router's choice."""
    with one_sentence():
        try:
            import uvicorn

            from trim.serve.app import Patience, create_app
            from trim.serve.front import Limits
        except ImportError as error:
            raise InputError(
                f"{error.name} is missing; install the packages of the server: pip install .[serve]"
            ) from None
        from trim.deploy.opening import model_names, open_deployed
        from trim.deploy.sources import find_deployed
        from trim.models.store import StepStore

        key = _key(key_env)
        found = find_deployed(deployed, configfile or [], Path.cwd())
        if deployed is not None and not found.manifest.is_reviewed:
            typer.echo(f"{deployed}: nobody has reviewed this router as it is now (`trim review`)", err=True)
        store = StepStore(step_store or Path.cwd() / "step_store", "served", keeps=step_store is not None)
        limits = Limits(concurrent, waiting, body_kb << 10, seconds=seconds, strong_tokens=strong_tokens)
        signal.signal(signal.SIGTERM, _exit)  # what uvicorn raises again when its requests are done
        with (
            _listening(host, port) as listener,
            open_deployed(found, store, Path.cwd() / "logs", threads) as opened,
        ):
            app: Any = create_app(opened, limits, key, Patience(prm_seconds, prm_pause))
            config = uvicorn.Config(app, timeout_graceful_shutdown=grace, access_log=False)
            typer.echo(f"{_address(listener)}/v1 answers as {', '.join(model_names(found))}", err=True)
            with suppress(KeyboardInterrupt):
                uvicorn.Server(config).run(sockets=[listener])


def _key(variable: str | None) -> str | None:
    if variable is None:
        return None
    if not (key := os.environ.get(variable, "").strip()):
        raise ConfigError(f"--key-env names {variable}, which is not in the environment")
    if not (key.isascii() and key.isprintable()):
        raise ConfigError(f"--key-env names {variable}, which holds signs that no HTTP header takes; take another")
    return key


def _listening(host: str, port: int) -> socket.socket:
    """Return a socket that listens: before anything is opened, which may take long."""
    try:
        family, *_ = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        return socket.create_server((host, port), family=family)
    except OSError as error:
        number = error.errno or 0  # below zero where it is of looking up a name
        why = os.strerror(number) if number > 0 else error.strerror
        raise InputError(
            f"--host {host} --port {port}: cannot listen there ({why}); take another --port (0 for a free one) or "
            "--host, or end the server that has it"
        ) from None


def _address(listener: socket.socket) -> str:
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def _exit(number: int, frame: FrameType | None) -> None:
    raise SystemExit(0)
