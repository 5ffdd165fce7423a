"""Draw what each choice is worth."""

import pandas as pd

from trim.figures import ablations
from trim.figures.style import save
from trim.jobs import job, provenance

with job(snakemake):
    table = pd.read_csv(snakemake.input.ablations)
    save(ablations.draw(table), snakemake.output, provenance(snakemake))
