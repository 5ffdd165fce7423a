"""Draw TRIM-Thr against the query-level oracle."""

import pandas as pd

from trim.figures import oracle_region
from trim.figures.style import save
from trim.jobs import job, provenance

with job(snakemake):
    curves, params = pd.read_csv(snakemake.input.curves), snakemake.params
    save(oracle_region.draw(curves, params.datasets, params.trained_on), snakemake.output, provenance(snakemake))
