"""Draw how many calls of the strong model solve a problem."""

import pandas as pd

from trim.figures import interventions
from trim.figures.style import save
from trim.jobs import job, provenance

with job(snakemake):
    table, params = pd.read_csv(snakemake.input.interventions), snakemake.params
    save(interventions.draw(table, params.datasets, params.trained_on), snakemake.output, provenance(snakemake))
