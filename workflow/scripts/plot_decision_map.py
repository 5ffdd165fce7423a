"""Draw the decisions of TRIM-Agg."""

from pathlib import Path

import pandas as pd

from trim.figures import decision_map
from trim.figures.style import save
from trim.routers.storage import load_policies
from trim.workflow import job, provenance

with job(snakemake):
    policies = load_policies(Path(snakemake.input.folder))
    scored = pd.read_parquet(snakemake.input.scores)
    figure = decision_map.draw(policies, scored, snakemake.wildcards.trained_on)
    save(figure, [Path(path) for path in snakemake.output], provenance(snakemake))
