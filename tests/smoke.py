"""The whole workflow on `config/smoke.yaml`, run once a session in a copy of the checkout."""

from __future__ import annotations

import functools
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from filelock import FileLock

from trim.checksums import short_digest
from trim.files import written_aside

ROOT = Path(__file__).parents[1]
CHECKOUT = ("Snakefile", "config.yaml", "config", "workflow", "profiles", "envs", "src", "data", "paper")
RESULTS = Path("results/smoke")


def environment(tree: Path, packages: Path | None = None) -> dict[str, str]:
    """Environment in which `python` and `snakemake` are those of the tests, and `trim` is the copy in the checkout.

    `packages` is a folder with further installed packages.
    """
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)])
    sources = os.pathsep.join(map(str, (tree / "src", *([packages] if packages else []))))
    return {**os.environ, "PATH": path, "PYTHONPATH": sources, "OMP_WAIT_POLICY": "PASSIVE"}


def checkout(folder: Path) -> Path:
    """Copy into a folder what Snakemake needs of this checkout."""
    folder.mkdir(parents=True)
    for name in CHECKOUT:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy2(source, folder / name)
    return folder


def copy_of(tree: Path, folder: Path) -> Path:
    """Copy a checkout with all its results; times of change are kept, so that nothing looks new."""
    shutil.copytree(tree, folder)
    return folder


def snakemake(
    tree: Path,
    *arguments: str,
    targets: tuple[str | Path, ...] = (),
    changes: Mapping[str, Any] | None = None,
    cores: int = 1,
    status: int = 0,
    packages: Path | None = None,
) -> str:
    """Run Snakemake on the smoke config, check its exit status, and return all that it says.

    `changes` are laid over the smoke config; `packages` is a folder with further installed packages.
    """
    overlays = ["config/smoke.yaml"]
    if changes is not None:
        overlays.append(str(overlay_of(tree, changes)))
    command = [sys.executable, "-m", "snakemake", "--cores", str(cores), "--configfile", *overlays, *arguments]
    done = subprocess.run(
        [*command, "--", *map(str, targets)],
        cwd=tree,
        env=environment(tree, packages),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=900,
    )
    assert done.returncode == status, done.stdout[-6000:]
    return done.stdout


def overlay_of(tree: Path, changes: Mapping[str, Any]) -> Path:
    """Write changes of the config beside a checkout, named by their content: tests side by side share it."""
    said = yaml.safe_dump(dict(changes))
    overlay = tree.with_name(f"{tree.name} {short_digest(said.encode())}.yaml")
    with written_aside(overlay) as aside:
        aside.write_text(said, encoding="utf-8")
    return overlay


def contents(folder: Path) -> dict[str, bytes]:
    """Content of every file below a folder; none if there is no such folder."""
    files = sorted(folder.rglob("*")) if folder.is_dir() else []
    return {str(path.relative_to(folder)): path.read_bytes() for path in files if path.is_file()}


def tables(tree: Path) -> dict[str, bytes]:
    """Content of every table, without the note on where they come from."""
    found = contents(tree / RESULTS / "tables")
    return {name: content for name, content in found.items() if name != "provenance.json"}


def planned_rules(output: str) -> dict[str, int]:
    """Read from a dry run how many jobs of each rule it would run."""
    if "Job stats:" not in output:
        return {}
    lines = output.split("Job stats:", 1)[1].splitlines()[3:]
    rows = [line.split() for line in lines[: lines.index("")]]
    return {name: int(count) for name, count in rows if name not in ("all", "total")}


def planned_figures(output: str) -> set[str]:
    """Read from a dry run which figures it would draw."""
    return set(re.findall(r"^Job \d+: Drawing (\S+)$", output, re.MULTILINE))


@functools.cache
def _run_once(folder: Path) -> Path:
    """Run it in a folder that all workers of the test session share: the first one runs, the others wait for it."""
    tree = folder / "check out"  # a space in the path, as users have it
    done = tree / "output.txt"  # written last
    folder.mkdir(exist_ok=True)
    with FileLock(folder / "lock"):
        if not done.exists():
            shutil.rmtree(tree, ignore_errors=True)
            done.write_text(snakemake(checkout(tree), cores=4), encoding="utf-8")
    return tree


@pytest.fixture(scope="session")
def smoke_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Checkout with the results of the smoke config; for reading only."""
    base = tmp_path_factory.getbasetemp()
    return _run_once((base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "smoke")


@pytest.fixture
def smoke_copy(smoke_run: Path, tmp_path: Path) -> Path:
    """Copy of `smoke_run`, to do with as one likes."""
    return copy_of(smoke_run, tmp_path / "copy")
