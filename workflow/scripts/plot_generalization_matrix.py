"""Draw routers by training and evaluation dataset."""

import pandas as pd

from trim.figures import generalization_matrix
from trim.figures.style import save
from trim.jobs import job, provenance

with job(snakemake):
    table = pd.read_csv(snakemake.input.generalization)
    save(generalization_matrix.draw(table), snakemake.output, provenance(snakemake))
