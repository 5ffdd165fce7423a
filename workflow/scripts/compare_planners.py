"""Hold planners against our exact solution, on the POMDP that was fitted on the main dataset."""

import pandas as pd

from trim.checks.planners import COLUMNS, TIMES, compare
from trim.config.experiment import Planners
from trim.jobs import open_job
from trim.routers.pomdp.disk import load_solved

with open_job(snakemake) as job:
    settings = Planners.model_validate(job.params.planners)
    rows = []
    for row in compare(load_solved(job.input.solved), settings, job.params.seed, job.params.level):
        job.log.info("%s", row)
        rows.append(row)
    table = pd.DataFrame(rows, columns=[*COLUMNS, "seconds"]).astype({"simulations": "Int64", "decisions": "Int64"})
    job.write_csv(table[COLUMNS], job.output.table, exact=["kappa"])
    job.write_csv(table[TIMES], job.output.times, exact=["kappa"])
