"""Draw how many calls of the strong model solve a problem."""

import pandas as pd

from trim.figures import interventions
from trim.figures.style import save
from trim.jobs import open_job

with open_job(snakemake) as job:
    table, params = pd.read_csv(job.input.interventions), job.params
    save(interventions.draw(table, params.datasets, params.trained_on), job.output, job.provenance)
