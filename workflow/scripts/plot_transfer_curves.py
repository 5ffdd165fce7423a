"""Draw routers on datasets that they were trained on, and on others."""

import pandas as pd

from trim.figures import transfer_curves
from trim.figures.style import save
from trim.jobs import open_job

with open_job(snakemake) as job:
    curves, params = pd.read_csv(job.input.curves), job.params
    save(transfer_curves.draw(curves, params.datasets, params.trained_on), job.output, job.provenance)
