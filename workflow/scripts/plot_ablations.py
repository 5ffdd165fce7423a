"""Draw what each choice is worth."""

import pandas as pd

from trim.figures import ablations
from trim.figures.style import save
from trim.jobs import open_job

with open_job(snakemake) as job:
    table = pd.read_csv(job.input.ablations)
    save(ablations.draw(table), job.output, job.provenance)
