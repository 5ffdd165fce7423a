"""Collect weak-only, strong-only and mixed rollouts of a part of a split."""

from trim.jobs import open_job
from trim.rollout.history import Reads
from trim.rollout.tables import OperatingPoint, run_points, step_table
from trim.routers.controls import ALONE, RandomStep

MIXED_SHARE = 0.3

with open_job(snakemake) as job, job.grader() as grader:
    params, part = job.params, f"{job.wildcards.dataset}.{job.wildcards.split}"
    problems = job.shard(job.problems())
    points = [*ALONE, OperatingPoint("mixed", "default", MIXED_SHARE, RandomStep(MIXED_SHARE, salt="mixed"))]
    assert all(point.policy.reads is Reads.NOTHING for point in points)  # there may be no PRM yet
    with job.pair(part) as pair:
        report = job.progress(f"rollouts of {part}, episodes")
        results = run_points(points, problems, pair, params.replicates, params.pair["max_steps"], report)
    job.write_parquet(step_table(results, grader, labelled=params.labelled), job.output.steps)
