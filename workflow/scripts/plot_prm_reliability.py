"""Draw reliability and score distributions of the PRMs."""

import pandas as pd

from trim.figures import prm_reliability
from trim.figures.style import save
from trim.jobs import job, provenance

with job(snakemake):
    tables = (pd.read_csv(snakemake.input[name]) for name in ("quality", "reliability", "histogram"))
    save(prm_reliability.draw(*tables), snakemake.output, provenance(snakemake))
