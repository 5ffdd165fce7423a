"""Measure both models alone by answers and by steps, where steps have labels."""

import pandas as pd

from trim.config.experiment import Bootstrap
from trim.evaluation.end_points import end_points
from trim.files import read_parquet
from trim.jobs import open_job
from trim.layouts import STEPS

with open_job(snakemake) as job:
    bootstrap, seed = Bootstrap.model_validate(job.params.bootstrap), job.params.seed
    tables = [
        end_points(read_parquet(path, STEPS), bootstrap, f"{seed}/{dataset}") for dataset, path in job.input.items()
    ]
    job.write_csv(pd.concat(tables, ignore_index=True), job.output.end_points)
