"""Solve the test problems of a dataset at every operating point of a router."""

from pathlib import Path

from trim.evaluation.episodes import episode_table, run_points
from trim.evaluation.sweeps import operating_points
from trim.files import read_json, write_parquet
from trim.problems.grading import Grader
from trim.problems.problem import read_problems
from trim.workflow import job, open_job_pair, progress, provenance

with job(snakemake) as log, Grader() as grader:
    wildcards, params = snakemake.wildcards, snakemake.params
    fitted = read_json(snakemake.input.fitted)["thresholds"] if snakemake.input.fitted else {}
    points = operating_points(wildcards.router, fitted, params.random_shares)
    problems = read_problems(Path(snakemake.input.problems))
    what = f"{wildcards.router} on {wildcards.dataset}, episodes"
    with open_job_pair(snakemake, f"{wildcards.dataset}.test") as pair:
        results = run_points(points, problems, pair, params.replicates, params.pair["max_steps"], progress(what))
    table = episode_table(results, grader, exact=params.labelled).assign(trained_on=wildcards.trained_on)
    write_parquet(table, snakemake.output.episodes, provenance(snakemake))
