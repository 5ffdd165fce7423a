"""The workflow through `profiles/slurm` on a real SLURM of one node; opt-in by `make test-slurm`."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest
from smoke import RESULTS, checkout, snakemake, tables

from trim.files import read_parquet
from trim.layouts import STEPS

SCRIPT = Path(__file__).with_name("one_node.sh")
# The first look at a job comes after 40 s in the profile: jobs of the smoke experiment take five.
PROFILE = ("--workflow-profile", "profiles/slurm", "--slurm-init-seconds-before-status-checks", "2")
SUBMITTED = re.compile(r"submitted with SLURM jobid (\d+)")

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        not os.environ.get("TRIM_TEST_SLURM"),
        reason="installs and starts a SLURM of its own, as root; asked for by `make test-slurm`",
    ),
]


@pytest.fixture(scope="module", autouse=True)
def one_node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    if os.geteuid() != 0 or not shutil.which("apt-get"):
        pytest.skip("needs root on a Debian system")
    folder = tmp_path_factory.mktemp("slurm")
    try:
        started = subprocess.run([SCRIPT, "start", folder], stderr=subprocess.PIPE, text=True, timeout=600)
        if started.returncode != 0:
            pytest.skip(f"SLURM does not start here: {started.stderr.strip().splitlines()[-1:]}")
        yield
    finally:
        subprocess.run([SCRIPT, "stop", folder], check=True, timeout=120)


def booked(output: str) -> list[str]:
    """What SLURM has in its books about each job that Snakemake submitted, in order."""
    ids = SUBMITTED.findall(output)
    assert ids
    show = ["scontrol", "--oneliner", "show", "job"]
    return [subprocess.run([*show, id], stdout=subprocess.PIPE, text=True, check=True).stdout for id in ids]


def test_the_smoke_experiment_ends_in_the_same_tables(smoke_run: Path, tmp_path: Path) -> None:
    tree = checkout(tmp_path / "checkout")
    output = snakemake(tree, *PROFILE)
    (tmp_path / "output.txt").write_text(output, encoding="utf-8")
    assert "(100%) done" in output
    jobs = booked(output)
    assert len(jobs) > 20
    assert all("JobState=COMPLETED" in job and "Partition=cpu" in job for job in jobs)
    assert tables(tree) == tables(smoke_run)


def test_a_job_that_needs_a_gpu_gets_one(smoke_copy: Path) -> None:
    target = RESULTS / "episodes/weak-only/untrained/arith.parquet"
    (smoke_copy / target).unlink()
    output = snakemake(smoke_copy, *PROFILE, "--set-resources", "evaluate_routers:gpu=1", targets=(target,))
    (job,) = booked(output)
    assert "JobState=COMPLETED" in job
    assert "Partition=gpu" in job
    assert "gres/gpu=1" in job or "gres:gpu:1" in job


def test_shards_go_to_slurm_as_arrays(smoke_copy: Path) -> None:
    target = RESULTS / "rollouts/arith.dev.parquet"
    rollouts = read_parquet(smoke_copy / target, STEPS)
    (smoke_copy / target).unlink()
    arrays = ("--slurm-array-jobs", "collect_rollouts", "--slurm-array-limit", "3")
    output = snakemake(smoke_copy, *PROFILE, "--set-scatter", "shard=5", *arrays, targets=(target,))
    sizes = [int(last) - int(first) + 1 for first, last in re.findall(r"individual task IDs are (\d+)-(\d+)", output)]
    assert sum(sizes) == 5 and max(sizes) == 3
    pd.testing.assert_frame_equal(read_parquet(smoke_copy / target, STEPS), rollouts)


def test_a_job_that_fails_comes_back_with_more_memory_and_time(smoke_copy: Path) -> None:
    target = RESULTS / "episodes/weak-only/untrained/arith.parquet"
    (smoke_copy / target).unlink()
    shutil.rmtree(smoke_copy / "step_store")
    output = snakemake(smoke_copy, *PROFILE, targets=(target,), changes={"offline": True}, status=1)
    jobs = booked(output)
    assert [re.search(r"TimeLimit=(\S+)", job)[1] for job in jobs] == ["16:00:00", "1-08:00:00", "2-00:00:00"]
    memory = [int(re.search(r"MinMemoryNode=(\d+)M", job)[1]) for job in jobs]
    assert memory == [4000, 8000, 12000]
    logs = list((smoke_copy / ".snakemake/slurm_logs").rglob("*.log"))  # those of failed jobs stay
    assert len(logs) == 3
    said = "offline: 24 of 24 prefixes that routers reach next need steps"
    assert all(said in log.read_text(encoding="utf-8") for log in logs)
