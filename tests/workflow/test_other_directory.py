"""The workflow outside its own folder: with another working directory, and as a module of another workflow."""

import re
import subprocess
import sys
from pathlib import Path

from smoke import ROOT, environment

MODULE = """
configfile: "{root}/config.yaml"
configfile: "mine.yaml"

module trim:
    snakefile: "{root}/Snakefile"
    config: config

use rule * from trim
"""


def run(folder: Path, *arguments: str) -> str:
    command = [sys.executable, "-m", "snakemake", "--cores", "1", *arguments]
    done = subprocess.run(command, cwd=folder, env=environment(ROOT), capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def planned(output: str) -> dict[str, int]:
    return {rule: int(count) for rule, count in re.findall(r"^(\w+) +(\d+)$", output, re.MULTILINE)}


def test_it_works_in_another_directory_and_as_a_module(tmp_path: Path) -> None:
    smoke = ROOT / "config/smoke.yaml"
    plan = planned(run(tmp_path, "--dry-run", "-s", str(ROOT / "Snakefile"), "--configfile", str(smoke)))
    assert plan["check_claims"] == plan["write_numbers"] == 1 and plan["plot_figure"] > 10
    (tmp_path / "Snakefile").write_text(MODULE.format(root=ROOT))
    (tmp_path / "mine.yaml").write_text(smoke.read_text(encoding="utf-8"))
    assert planned(run(tmp_path, "--dry-run")) == plan
    run(tmp_path, "results/smoke/problems/disjoint.json")
    assert (tmp_path / "results/smoke/problems/arith/dev.jsonl").is_file()
    assert {path.name for path in tmp_path.iterdir()} >= {"results", "mine.yaml"}
