"""Draw the claims of the paper and what became of them."""

import pandas as pd

from trim.figures import claims
from trim.figures.style import save
from trim.jobs import open_job

with open_job(snakemake) as job:
    table = pd.read_csv(job.input.claims)
    save(claims.draw(table), job.output, job.provenance)
