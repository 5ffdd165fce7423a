"""Draw reliability and score distributions of the PRMs."""

import pandas as pd

from trim.figures import prm_reliability
from trim.figures.style import save
from trim.jobs import open_job

with open_job(snakemake) as job:
    tables = (pd.read_csv(job.input[name]) for name in ("quality", "reliability", "histogram"))
    save(prm_reliability.draw(*tables), job.output, job.provenance)
