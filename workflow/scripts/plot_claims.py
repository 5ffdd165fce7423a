"""Draw the claims of the paper and what became of them."""

import pandas as pd

from trim.figures import claims
from trim.figures.style import save
from trim.jobs import job, provenance

with job(snakemake):
    table = pd.read_csv(snakemake.input.claims)
    save(claims.draw(table), snakemake.output, provenance(snakemake))
