"""Have both models solve every problem of a split alone, the weak one several times."""

from pathlib import Path

from trim.files import write_parquet
from trim.jobs import job, open_job_pair, progress, provenance
from trim.problems.grading import Grader
from trim.problems.problem import read_problems
from trim.routers.query_level.options import solve_whole

with job(snakemake) as log, Grader() as grader:
    name, params = f"{snakemake.wildcards.dataset}.{snakemake.wildcards.split}", snakemake.params
    problems = read_problems(Path(snakemake.input.problems))
    with open_job_pair(snakemake, name) as pair:
        solved = solve_whole(
            problems,
            pair,
            params.replicates,
            params.samples,
            params.pair["max_steps"],
            grader,
            exact=params.labelled,
            on_progress=progress(f"solutions of {name}"),
        )
    write_parquet(solved, snakemake.output.solutions, {**provenance(snakemake), "grading": grader.summary()})
