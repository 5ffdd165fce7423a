"""Draw routers by training and evaluation dataset."""

import pandas as pd

from trim.figures import generalization_matrix
from trim.figures.style import save
from trim.jobs import open_job

with open_job(snakemake) as job:
    table = pd.read_csv(job.input.generalization)
    save(generalization_matrix.draw(table), job.output, job.provenance)
