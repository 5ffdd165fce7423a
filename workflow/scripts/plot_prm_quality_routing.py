"""Draw what PRM quality buys."""

import pandas as pd

from trim.figures import prm_quality_routing
from trim.figures.style import save
from trim.jobs import job, provenance

with job(snakemake):
    table = pd.read_csv(snakemake.input.routing)
    save(prm_quality_routing.draw(table, snakemake.params.dataset), snakemake.output, provenance(snakemake))
