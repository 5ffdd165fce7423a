"""Draw routers on datasets that they were trained on, and on others."""

import pandas as pd

from trim.figures import transfer_curves
from trim.figures.style import save
from trim.jobs import job, provenance

with job(snakemake):
    curves, params = pd.read_csv(snakemake.input.curves), snakemake.params
    save(transfer_curves.draw(curves, params.datasets, params.trained_on), snakemake.output, provenance(snakemake))
