"""Collect weak-only, strong-only and mixed rollouts of a part of a split."""

from pathlib import Path

from trim.files import write_parquet
from trim.jobs import job, open_job_pair, progress, provenance, shard
from trim.problems.grading import Grader
from trim.problems.problem import read_problems
from trim.rollout.engine import Reads
from trim.rollout.tables import OperatingPoint, run_points, step_table
from trim.routers.controls import RandomStep, StrongOnly, WeakOnly

MIXED_SHARE = 0.3

with job(snakemake) as log, Grader() as grader:
    wildcards, params = snakemake.wildcards, snakemake.params
    problems = shard(read_problems(Path(snakemake.input.problems)), wildcards.scatteritem)
    points = [
        OperatingPoint("weak-only", "default", 0.0, WeakOnly()),
        OperatingPoint("strong-only", "default", 1.0, StrongOnly()),
        OperatingPoint("mixed", "default", MIXED_SHARE, RandomStep(MIXED_SHARE, salt="mixed")),
    ]
    assert all(point.policy.reads is Reads.NOTHING for point in points)  # there may be no PRM yet
    what = f"rollouts of {wildcards.dataset}.{wildcards.split}, episodes"
    with open_job_pair(snakemake, f"{wildcards.dataset}.{wildcards.split}") as pair:
        results = run_points(points, problems, pair, params.replicates, params.pair["max_steps"], progress(what))
    table = step_table(results, grader, labelled=params.labelled)
    write_parquet(table, snakemake.output.steps, {**provenance(snakemake), "grading": grader.summary()})
