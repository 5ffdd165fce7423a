"""Draw TRIM-Thr against the query-level oracle."""

import pandas as pd

from trim.figures import oracle_region
from trim.figures.style import save
from trim.jobs import open_job

with open_job(snakemake) as job:
    curves, params = pd.read_csv(job.input.curves), job.params
    save(oracle_region.draw(curves, params.datasets, params.trained_on), job.output, job.provenance)
