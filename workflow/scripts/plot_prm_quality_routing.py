"""Draw what PRM quality buys."""

import pandas as pd

from trim.figures import prm_quality_routing
from trim.figures.style import save
from trim.jobs import open_job

with open_job(snakemake) as job:
    table = pd.read_csv(job.input.routing)
    save(prm_quality_routing.draw(table, job.params.dataset), job.output, job.provenance)
