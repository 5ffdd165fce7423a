"""docs/tutorial.md from its first command to its last, on models too small to learn anything."""

import os
import re
import shutil
import socket
import subprocess
from pathlib import Path

import pytest
import yaml
from smoke import RESULTS, ROOT, environment

PAGE = (ROOT / "docs/tutorial.md").read_text(encoding="utf-8")
FOLDER = Path("examples/tutorial")
BEFORE = ("make ", "source ", "git ", "cd ")
"""How commands begin that bring the reader to an environment, in which the test is already."""


def script() -> str:
    """Return all commands of the page, in order; the first that fails ends them."""
    blocks = re.findall(r"^```bash\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    lines = [line for block in blocks for line in block.splitlines() if not line.startswith(BEFORE)]
    return "\n".join(["set -e", "trap 'kill $(jobs -p) 2> /dev/null || true' EXIT", *lines, ""])


def quicken(tree: Path) -> None:
    """Take the models of the smoke experiment for those of the tutorial, and leave its problems as they are."""
    (tree / RESULTS).rename(tree / "results/mine")
    shutil.rmtree(tree / "results/mine/tables")  # without it nothing tells Snakemake that a dataset has come
    (tree / "results/mine/explorer.html").unlink()
    for name in (FOLDER, "docs"):  # `trim config` looks at the pages that it writes too
        shutil.copytree(ROOT / name, tree / name)
    ours = yaml.safe_load((tree / FOLDER / "mine.yaml").read_text(encoding="utf-8"))
    small = yaml.safe_load((ROOT / "config/smoke.yaml").read_text(encoding="utf-8"))
    small |= {"experiment": "mine", "evaluated_on": ours["evaluated_on"]}
    small["datasets"]["mine"] = ours["datasets"]["mine"]
    (tree / FOLDER / "mine.yaml").write_text(yaml.safe_dump(small), encoding="utf-8")


def free_port() -> str:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return str(probe.getsockname()[1])


@pytest.mark.slow
def test_every_command_of_the_tutorial_works(smoke_copy: Path) -> None:
    quicken(smoke_copy)
    port, client = free_port(), smoke_copy / FOLDER / "client.py"
    client.write_text(client.read_text(encoding="utf-8").replace("8080", port), encoding="utf-8")
    done = subprocess.run(
        ["bash", "-c", script().replace("8080", port)],
        cwd=smoke_copy,
        env=environment(smoke_copy) | {"COLUMNS": "120"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=900,
        start_new_session=True,
    )
    assert done.returncode == 0, done.stdout[-6000:]
    assert "Traceback" not in done.stdout
    assert "mine: config" in done.stdout and "strong tokens\n" in done.stdout
    for made in ("results/mine/explorer.html", "deployed/mine/router.json", "deployed/mine/report.md"):
        assert (smoke_copy / made).is_file()


def test_the_page_shows_the_files_of_the_tutorial() -> None:
    for name in ("mine.yaml", "client.py"):
        assert (ROOT / FOLDER / name).read_text(encoding="utf-8") in PAGE
    assert os.path.relpath(ROOT / FOLDER / "problems.jsonl", ROOT) in PAGE
