"""Lay labelled solutions out like rollouts."""

from pathlib import Path
from tempfile import TemporaryDirectory

from pydantic import TypeAdapter

from trim.config.experiment import Dataset
from trim.files import read_parquet, write_parquet
from trim.jobs import open_job
from trim.layouts import STEPS
from trim.models.kept import SOLUTIONS, problem_facts
from trim.problems.prepared import is_at_hand
from trim.problems.solutions import load_solutions
from trim.rollout.tables import solution_table

with open_job(snakemake) as job, TemporaryDirectory() as aside:
    spec = TypeAdapter(Dataset).validate_python(job.params.dataset)
    facts = problem_facts(job.wildcards.dataset, job.params.dataset, job.experiment.seed)
    file = Path(aside) / "steps.parquet"
    if job.kept.offline and not is_at_hand(spec) and job.kept.restore(SOLUTIONS, facts, file.parent):
        table = read_parquet(file, STEPS)
    else:
        table = solution_table(load_solutions(spec), job.problems())
        write_parquet(table, file, {})
        job.kept.keep(SOLUTIONS, facts, file.parent)
    job.write_parquet(table, job.output.steps)
