"""Draw what routers recover at fixed budgets."""

import pandas as pd

from trim.figures import budgeted
from trim.figures.style import save
from trim.jobs import job, provenance

with job(snakemake):
    table, params = pd.read_csv(snakemake.input.budgeted), snakemake.params
    save(budgeted.draw(table, params.datasets, params.trained_on), snakemake.output, provenance(snakemake))
