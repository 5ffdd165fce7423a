"""Lay labelled solutions out like rollouts."""

from pathlib import Path

from pydantic import TypeAdapter

from trim.config.experiment import Dataset
from trim.files import write_parquet
from trim.jobs import job, provenance
from trim.problems.problem import read_problems
from trim.problems.solutions import load_solutions
from trim.rollout.tables import solution_table

with job(snakemake):
    spec = TypeAdapter(Dataset).validate_python(snakemake.params.dataset)
    table = solution_table(load_solutions(spec), read_problems(Path(snakemake.input.problems)))
    write_parquet(table, snakemake.output.steps, provenance(snakemake))
