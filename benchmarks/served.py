"""The processes behind `benchmarks/load.py`: `trim serve`, and endpoints that answer as vLLM does."""

from __future__ import annotations

import re
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

import httpx

from trim.config.models import Architecture, Sampling, ServedModel, ServedPRM
from trim.config.serving import Endpoint, Serving
from trim.deploy.manifest import Deployed, Manifest, Point, write_manifest
from trim.files import write_json
from trim.models.served.servers import free_port
from trim.models.tiny import STEP_TAG, build_config, build_tokenizer

SECONDS = {"weak": 0.15, "strong": 0.6, "prm": 0.05}
"""What a step or score takes, as of a model of 1.5B and one of 32B parameters on a GPU each."""
RETRY_FOR = 10.0
START_SECONDS = 600.0


@dataclass
class Served:
    """`trim serve` as a process of its own, on a free port; all clients find a place to wait."""

    folder: Path
    concurrent: int
    clients: int
    logs: Path = field(init=False)
    url: str = field(init=False)
    process: subprocess.Popen[bytes] = field(init=False)

    def __enter__(self) -> Served:
        """Start it, and wait until it answers."""
        self._room = TemporaryDirectory()
        self.logs = Path(self._room.name)
        log = self.logs / "serve.log"
        command = [sys.executable, "-m", "trim.cli", "serve", "--deployed", str(self.folder.absolute()), "--port", "0"]
        command += ["--concurrent", str(self.concurrent), "--waiting", str(self.clients), "--prm-pause", "2"]
        command += ["--seconds", "1800", "--prm-seconds", "120"]  # a machine that is busy is no PRM that is down
        with log.open("wb") as output:
            self.process = subprocess.Popen(command, stdout=output, stderr=output, cwd=self.logs)
        give_up = time.monotonic() + START_SECONDS
        while not (found := re.search(r"(http://\S+)/v1 answers", log.read_text(encoding="utf-8"))):
            if self.process.poll() is not None or time.monotonic() > give_up:
                raise SystemExit(f"the server did not start: {log.read_text(encoding='utf-8')[-2000:]}")
            time.sleep(0.2)
        self.url = found[1]
        _wait_for(f"{self.url}/health")
        return self

    def __exit__(self, *_: object) -> None:
        """End it, and show what it said of errors."""
        self.process.terminate()
        self.process.wait(START_SECONDS)
        said = (self.logs / "serve.log").read_text(encoding="utf-8")
        if "Traceback" in said:
            print(said[-4000:], file=sys.stderr)
        self._room.cleanup()

    def metrics(self) -> dict[str, int]:
        """Return how many requests ended how, as the server counted them."""
        page = httpx.get(f"{self.url}/metrics", timeout=60).text
        found = re.findall(r'^trim_requests_total\{.*outcome="([^"]*)"\} (\S+)$', page, re.MULTILINE)
        return {outcome: int(float(count)) for outcome, count in found}


@dataclass
class Simulated:
    """Three endpoints, and a deployed router before them."""

    folder: Path
    ports: dict[str, int]
    tag: int
    processes: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    def start(self, role: str) -> None:
        """Start an endpoint."""
        script, name = str(Path(__file__).with_name("simulated_endpoints.py")), str(self.folder / role)
        more = ["--step-tag", str(self.tag)] if role == "prm" else []
        command = [sys.executable, script, name, str(self.ports[role]), str(SECONDS[role]), *more]
        self.processes[role] = subprocess.Popen(command)

    def kill(self, role: str) -> None:
        """Kill an endpoint, as a machine that fails does."""
        self.processes[role].kill()
        self.processes[role].wait()


@contextmanager
def simulated() -> Iterator[Simulated]:
    """Start all three."""
    with TemporaryDirectory() as room:
        folder, tokenizer = Path(room), build_tokenizer()
        for role in SECONDS:
            tokenizer.save_pretrained(folder / role)
            build_config(Architecture(), tokenizer).save_pretrained(folder / role)
        found = Simulated(folder, {role: free_port() for role in SECONDS}, tokenizer.convert_tokens_to_ids(STEP_TAG))
        write_json({"solutions": []}, folder / "golden.json")
        write_manifest(Deployed(_manifest(found), folder))
        try:
            for role in SECONDS:
                found.start(role)
            for port in found.ports.values():
                _wait_for(f"http://127.0.0.1:{port}/health")
            yield found
        finally:
            for role in found.processes:
                found.kill(role)


def _manifest(found: Simulated) -> Manifest:
    weak, strong = (ServedModel(name=str(found.folder / role), max_model_len=2048) for role in ("weak", "strong"))
    name, golden = str(found.folder / "prm"), "./golden.json"
    prm = ServedPRM(name=name, step_tag=STEP_TAG, keeps_separator=True, max_model_len=2048, golden=golden)
    urls = {role: Endpoint(url=f"http://127.0.0.1:{port}") for role, port in found.ports.items()}
    return Manifest(
        weak=weak,
        strong=strong,
        prm=prm,
        sampling=Sampling(max_step_tokens=32),
        max_steps=12,
        serving=Serving(endpoints=urls, retry_for=RETRY_FOR),
        points={"trim-thr-0.5": Point(router="trim-thr", setting=0.5)},
    )


def _wait_for(url: str) -> None:
    give_up = time.monotonic() + START_SECONDS
    while True:
        try:
            httpx.get(url, timeout=30).raise_for_status()
            return
        except httpx.HTTPError:
            if time.monotonic() > give_up:
                raise
            time.sleep(0.2)
