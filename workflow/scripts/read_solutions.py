"""Lay labelled solutions out like rollouts."""

from pydantic import TypeAdapter

from trim.config.experiment import Dataset
from trim.jobs import open_job
from trim.problems.solutions import load_solutions
from trim.rollout.tables import solution_table

with open_job(snakemake) as job:
    spec = TypeAdapter(Dataset).validate_python(job.params.dataset)
    table = solution_table(load_solutions(spec), job.problems())
    job.write_parquet(table, job.output.steps)
