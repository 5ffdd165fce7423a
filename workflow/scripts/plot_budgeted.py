"""Draw what routers recover at fixed budgets."""

import pandas as pd

from trim.figures import budgeted
from trim.figures.style import save
from trim.jobs import open_job

with open_job(snakemake) as job:
    table, params = pd.read_csv(job.input.budgeted), job.params
    save(budgeted.draw(table, params.datasets, params.trained_on), job.output, job.provenance)
