"""The servers of a job: started when the first step is missing, stopped whatever happens; or attached to."""

from __future__ import annotations

import logging
import os
import re
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Collection
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import IO, Any

import httpx

from trim.config.models import ServedModel, ServedPRM
from trim.config.serving import Endpoint, Role, ServerOptions, Serving
from trim.errors import BackendError, ConfigError
from trim.models.served import vllm
from trim.models.served.client import SHOWN_CHARACTERS, HttpClient, Once, ssl_context
from trim.models.served.wire import read

logger = logging.getLogger(__name__)

POLL_SECONDS = 0.5
LOOK_SECONDS = 30.0
GRACE_SECONDS = 20.0
SHOWN_LINES = 15
ENDINGS = (signal.SIGTERM, signal.SIGHUP)


@dataclass
class _Server:
    """A process group that this job started."""

    role: Role
    process: subprocess.Popen[bytes]
    url: str
    log: Path

    def check(self) -> None:
        """Raise where the process has ended."""
        status = self.process.poll()
        if status is not None:
            how = f"was killed by signal {-status}" if status < 0 else f"ended with status {status}"
            raise BackendError(f"the {self.role} server {how}; the end of {self.log}:\n{self.last_lines()}")

    def last_lines(self) -> str:
        """Return the last lines of the log, below the first error where that stands further up."""
        lines = self.log.read_text(encoding="utf-8", errors="replace").splitlines()
        first = [line for line in lines[:-SHOWN_LINES] if re.search(r"\w(Error|Exception): ", line)][:1]
        return "\n".join([*first, *lines[-SHOWN_LINES:]]) or "(empty)"


def _stop(servers: Collection[_Server]) -> None:
    """End process groups: by request, and by force what is left of them."""
    for how in (signal.SIGTERM, signal.SIGKILL):
        for server in servers:
            with suppress(ProcessLookupError):
                os.killpg(server.process.pid, how)
        deadline = time.monotonic() + GRACE_SECONDS
        for server in servers:
            with suppress(subprocess.TimeoutExpired):
                server.process.wait(max(deadline - time.monotonic(), 0))


class Servers:
    """The servers of a job; used under `contextlib.closing`.

    Models are announced by `serve` before anything runs. The first call of `client` for a
    server that is to be started starts all of them, one after the other: vLLM measures the
    memory that is free while it starts.

    Parameters
    ----------
    serving
        How servers are started and reached.
    logs
        Folder for the servers' logs.
    """

    def __init__(self, serving: Serving, logs: Path) -> None:
        self.versions: dict[str, str] = {}
        self._serving = serving
        self._logs = logs
        self._specs: dict[Role, ServedModel | ServedPRM] = {}
        self._running: dict[Role, _Server] = {}
        self._clients: dict[Role, HttpClient] = {}
        self._handlers: dict[signal.Signals, Any] = {}

    def close(self) -> None:
        """Stop what was started."""
        for number in self._handlers:
            signal.signal(number, signal.SIG_IGN)  # a second request to end must not leave servers behind
        _stop(self._running.values())
        self._running.clear()
        for number, handler in self._handlers.items():
            signal.signal(number, handler)

    def serve(self, role: Role, spec: ServedModel | ServedPRM) -> None:
        """Announce a model that may be asked for."""
        self._specs[role] = spec

    def endpoint(self, role: Role) -> Endpoint | None:
        """Return the server that already runs for a role, if the config names one."""
        return self._serving.endpoints.get(role)

    def client(self, role: Role) -> HttpClient:
        """Return the client of a role's server, which is started first, and looked at before its first request.

        Raises
        ------
        BackendError
            The server does not become ready.
        ConfigError
            The environment variable with the API key is not set.
        """
        if role not in self._clients:
            endpoint = self.endpoint(role)
            if endpoint is None:
                self._start_all()
                server = self._running[role]
                client = self._client(role, server.url, {}, server)
            else:
                client = self._client(role, endpoint.url, _authorization(role, endpoint), None)
            if role in self._specs:
                client.looked_at = Once(lambda: self._look_at(role, client))
            self._clients[role] = client
        return self._clients[role]

    def _client(self, role: Role, url: str, headers: dict[str, str], server: _Server | None) -> HttpClient:
        return HttpClient(
            f"the {role} server",
            url,
            headers=headers,
            timeout=self._serving.request_timeout,
            retry_for=self._serving.retry_for,
            concurrency=self._serving.concurrency,
            check=server.check if server else lambda: None,
        )

    def _start_all(self) -> None:
        if not self._handlers and threading.current_thread() is threading.main_thread():
            for number in ENDINGS:  # a job that is asked to end must end its servers
                self._handlers[number] = signal.signal(number, _exit)
        for role, spec in self._specs.items():
            if role not in self._running and role not in self._serving.endpoints:
                self._start(role, spec)

    def _start(self, role: Role, spec: ServedModel | ServedPRM) -> None:
        options = self._serving.servers.get(role, ServerOptions())
        tag = None
        if isinstance(spec, ServedPRM):
            from trim.models.served.models import load_tokenizer, step_tag_id

            tag = step_tag_id(spec, load_tokenizer(spec))
        port = free_port()
        command = [*self._serving.command, *vllm.server_arguments(spec, options, port, tag)]
        environment = {**os.environ, **vllm.ENVIRONMENT, **self._serving.environment}
        if options.gpus:
            environment["CUDA_VISIBLE_DEVICES"] = ",".join(map(str, options.gpus))
        self._logs.mkdir(parents=True, exist_ok=True)
        path = self._logs / f"server-{role}.log"
        logger.info("starting the %s server: %s", role, " ".join(command))
        with path.open("wb") as log:
            process = _popen(command, environment, log)
        server = self._running[role] = _Server(role, process, f"http://127.0.0.1:{port}", path)
        started = time.monotonic()
        while not _is_healthy(server.url):
            server.check()
            if time.monotonic() - started > self._serving.start_timeout:
                raise BackendError(
                    f"the {role} server was not ready after {self._serving.start_timeout:g} s "
                    f"(serving.start_timeout); the end of {path}:\n{server.last_lines()}"
                )
            time.sleep(POLL_SECONDS)
        logger.info("the %s server is ready after %.0f s", role, time.monotonic() - started)

    async def _look_at(self, role: Role, client: HttpClient) -> None:
        """Note a server's version, and see that it serves the model that was asked for."""
        spec = self._specs[role]
        try:
            version, models = [await client.get(page, LOOK_SECONDS) for page in (vllm.VERSION, vllm.MODELS)]
            self.versions[role] = f"vLLM {read(vllm.Version, version, vllm.VERSION).version}"
            served = {entry.id: entry.max_model_len for entry in read(vllm.Catalogue, models, vllm.MODELS).data}
        except (httpx.HTTPError, ValueError, RecursionError, BackendError) as error:
            what = str(error) or type(error).__name__
            raise BackendError(f"{client.name} ({client.url}) does not answer as vLLM does: {what}") from None
        if spec.name not in served:
            raise BackendError(
                f"{client.name} ({client.url}) serves {', '.join(served)[:SHOWN_CHARACTERS]}, not {spec.name}"
            )
        longest = served[spec.name]
        if longest is not None and longest < spec.max_model_len:
            raise BackendError(
                f"{client.name} ({client.url}) reads {longest} tokens, but max_model_len is {spec.max_model_len}"
            )
        logger.info("%s (%s): %s serves %s", client.name, client.url, self.versions[role], spec.name)


def _popen(command: list[str], environment: dict[str, str], log: IO[bytes]) -> subprocess.Popen[bytes]:
    try:
        return subprocess.Popen(
            command,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # a group of its own, so that all of it can be ended
        )
    except OSError as error:
        raise BackendError(
            f"cannot start a server by {command[0]!r} ({error.strerror}); install vLLM, set serving.command, or name a "
            "running server under serving.endpoints"
        ) from None


def _exit(number: int, frame: FrameType | None) -> None:
    raise SystemExit(128 + number)


def free_port() -> int:
    """Return a port of this machine that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _is_healthy(url: str) -> bool:
    with suppress(httpx.TransportError):
        return httpx.get(url + vllm.HEALTH, timeout=5.0, trust_env=False, verify=ssl_context()).status_code == 200
    return False


def _authorization(role: Role, endpoint: Endpoint) -> dict[str, str]:
    if endpoint.key_env is None:
        return {}
    key = os.environ.get(endpoint.key_env, "").strip()
    if not key:
        raise ConfigError(f"serving.endpoints.{role}.key_env names {endpoint.key_env}, which is not in the environment")
    if not (key.isascii() and key.isprintable()):
        raise ConfigError(f"serving.endpoints.{role}.key_env: {endpoint.key_env} holds signs that no HTTP header takes")
    return {"Authorization": f"Bearer {key}"}
