"""Have both models solve every problem of a split alone, the weak one several times."""

from trim.jobs import open_job
from trim.routers.query_level.options import solve_whole

with open_job(snakemake) as job, job.grader() as grader:
    params, part = job.params, f"{job.wildcards.dataset}.{job.wildcards.split}"
    problems = job.problems()
    with job.pair(part) as pair:
        solved = solve_whole(
            problems,
            pair,
            params.replicates,
            params.samples,
            params.pair["max_steps"],
            grader,
            exact=params.labelled,
            on_progress=job.progress(f"solutions of {part}"),
        )
    job.write_parquet(solved, job.output.solutions)
