"""`trim doctor`: whether what a run or a server needs is here, each fault with how to fix it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from importlib import metadata
from pathlib import Path
from typing import Any

import httpx
from packaging.requirements import Requirement
from rich.table import Table
from rich.text import Text

from trim.config.experiment import Experiment
from trim.config.models import ApiModel, GgufModel, GivenPRM, NoisyPRM, ServedModel, ServedPRM, TrainedModel
from trim.config.reading import missing_files
from trim.config.serving import Serving
from trim.deploy.manifest import Deployed
from trim.errors import TrimError, about_disk

LEAST_FREE_GB = 2.0
ANSWER_SECONDS = 5.0


class State(StrEnum):
    """How a check went."""

    OK = "ok"
    MISSING = "not here"
    """Something that not everybody needs."""
    FAULT = "fault"


COLOURS = {State.OK: "green", State.MISSING: "yellow", State.FAULT: "red"}


@dataclass(frozen=True, slots=True)
class Finding:
    """What a check found, and how to fix it if it is to be fixed."""

    what: str
    state: State
    said: str


def installation() -> Iterator[Finding]:
    """Check Python and the installed packages against what the package asks for."""
    version = ".".join(map(str, sys.version_info[:3]))
    yield Finding("python", State.OK, version)  # an older one could not have imported this module
    try:
        wanted = [Requirement(line) for line in metadata.requires("trim") or []]
    except metadata.PackageNotFoundError:
        yield Finding("trim", State.FAULT, "not installed: `make install`, or pip install --editable .")
        return
    core = [one for one in wanted if one.marker is None]
    faults = [said for one in core if (said := _lacking(one))]
    yield Finding("packages", State.FAULT if faults else State.OK, "; ".join(faults) or f"all {len(core)} are here")
    for extra in ("serve", "slurm"):
        parts = [one for one in wanted if one.marker is not None and one.marker.evaluate({"extra": extra})]
        lacking = [said for one in parts if (said := _lacking(one))]
        said = f"{'; '.join(lacking)}: pip install '.[{extra}]'" if lacking else "installed"
        yield Finding(f"extra {extra}", State.MISSING if lacking else State.OK, said)


def _lacking(wanted: Requirement) -> str:
    try:
        found = metadata.version(wanted.name)
    except metadata.PackageNotFoundError:
        return f"{wanted.name} is missing"
    return (
        "" if wanted.specifier.contains(found, prereleases=True) else f"{wanted.name} {found}, not {wanted.specifier}"
    )


def machine(folder: Path) -> Iterator[Finding]:
    """Check GPU, SLURM and disk."""
    gpus = _said_by("nvidia-smi", "--query-gpu=name,memory.total", "--format=csv,noheader")
    yield Finding("GPU", State.OK if gpus else State.MISSING, gpus or "none: models run on the CPU, or on servers")
    slurm = _said_by("sinfo", "--version")
    yield Finding("SLURM", State.OK if slurm else State.MISSING, slurm or "no sinfo: jobs run on this machine")
    free = shutil.disk_usage(folder).free / 1e9
    said = f"{free:.1f} GB free in {folder}"
    low = f"{said}; make room for at least {LEAST_FREE_GB:g} GB"
    yield Finding("disk", State.OK if free >= LEAST_FREE_GB else State.FAULT, said if free >= LEAST_FREE_GB else low)
    probe = folder / ".trim-doctor"
    try:
        probe.touch()
        probe.unlink()
        yield Finding("folder", State.OK, f"{folder} can be written")
    except OSError as error:
        yield Finding("folder", State.FAULT, str(about_disk(error, probe) or error))


def _said_by(*command: str) -> str:
    """Return what a program says, in one line; empty where there is none or it fails."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=20, check=True)
    except (OSError, subprocess.SubprocessError):
        return ""
    return "; ".join(done.stdout.strip().splitlines())


def router(deployed: Deployed) -> Iterator[Finding]:
    """Check the models, policies and endpoints of a deployed router."""
    try:
        faults = list(deployed.faults())
    except (TrimError, OSError) as error:
        faults = [str(error)]
    said = "models and policies are here, and those that were calibrated" if deployed.manifest.contents else "here"
    yield Finding("router", State.FAULT if faults else State.OK, "; ".join(faults) or said)
    for role, spec in deployed.models.items():
        yield from _endpoints(deployed.manifest.serving, role, spec)


def experiment(config: Experiment, root: Path) -> Iterator[Finding]:
    """Check the files, models and endpoints that the config of an experiment names, whether it has run or not."""
    faults = list(missing_files(config))
    yield Finding("files", State.FAULT if faults else State.OK, "; ".join(faults) or "all that the config names")
    prm = config.prms[config.pair.prm]
    name = prm.of if isinstance(prm, NoisyPRM) else config.pair.prm
    for role, spec in (("weak", config.pair.weak), ("strong", config.pair.strong), ("prm", config.prms[name])):
        trained = root / config.results / "models" / (role if role != "prm" else f"prm-{name}")
        if isinstance(spec, GgufModel):
            yield _gguf(role, spec, root, config.step_store)
        elif isinstance(spec, TrainedModel) or (role == "prm" and not isinstance(spec, GivenPRM)):
            there = trained.is_dir()
            said = str(trained) if there else "not trained yet: the run does it"
            yield Finding(f"{role} model", State.OK if there else State.MISSING, said)
        yield from _endpoints(config.serving, role, spec)


def _gguf(role: str, spec: GgufModel, root: Path, step_store: str) -> Finding:
    what = f"{role} model"
    if (converted := root / spec.folder(step_store)).is_dir():
        return Finding(what, State.OK, f"dequantised in {converted}")
    if spec.repository is not None:
        return Finding(what, State.MISSING, f"{spec.file} of {spec.repository}: the run fetches it")
    there = (root / spec.file).is_file()
    said = spec.file if there else f"{spec.file} does not exist: fetch it, or name its `repository`"
    return Finding(what, State.OK if there else State.FAULT, said)


def _endpoints(serving: Serving, role: str, spec: Any) -> Iterator[Finding]:
    """Check what answers for a model, where it runs behind HTTP."""
    if isinstance(spec, ServedModel | ServedPRM | ApiModel):
        yield _endpoint(serving, role, spec)
    if isinstance(spec, ServedPRM):
        said = spec.golden or "none: the first request waits until they are computed; `trim golden` does it before"
        yield Finding("golden scores", State.OK if spec.golden else State.MISSING, said)


def _endpoint(serving: Serving, role: str, spec: ServedModel | ServedPRM | ApiModel) -> Finding:
    what = f"{role} endpoint"
    endpoint = {str(key): value for key, value in serving.endpoints.items()}.get(role)
    if endpoint is None:
        command = serving.command[0]
        if isinstance(spec, ApiModel):
            return Finding(what, State.FAULT, f"serving.endpoints.{role} is missing: name its url and price")
        there = shutil.which(command)
        said = f"started when needed, by {there}" if there else f"no {command} here: install it, or name an endpoint"
        return Finding(what, State.OK if there else State.FAULT, said)
    headers = {}
    if endpoint.key_env is not None:
        if not os.environ.get(endpoint.key_env, "").strip():
            return Finding(what, State.FAULT, f"{endpoint.key_env} is not in the environment: set it to the API key")
        headers = {"Authorization": f"Bearer {os.environ[endpoint.key_env].strip()}"}
    url = f"{endpoint.url.rstrip('/').removesuffix('/v1')}/v1/models"
    try:
        answer = httpx.get(url, headers=headers, timeout=ANSWER_SECONDS)
        names = [str(entry["id"]) for entry in answer.json()["data"]]
    except (httpx.HTTPError, ValueError, KeyError, TypeError) as error:
        return Finding(what, State.FAULT, f"{url} does not list its models ({type(error).__name__}); start the server")
    if spec.name not in names:
        return Finding(what, State.FAULT, f"{url} serves {', '.join(names[:5])}, not {spec.name}")
    return Finding(what, State.OK, f"{endpoint.url} serves {spec.name}")


def as_table(findings: list[Finding]) -> Table:
    """Lay findings out, a row each."""
    table = Table("check", "", "found")
    for finding in findings:
        table.add_row(Text(finding.what), Text(finding.state, style=COLOURS[finding.state]), Text(finding.said))
    return table
