"""Draw the decisions of TRIM-POMDP on its beliefs."""

from pathlib import Path

from trim.figures import pomdp_policy
from trim.figures.style import save
from trim.routers.pomdp.storage import load_solved
from trim.workflow import job, provenance

with job(snakemake):
    figure = pomdp_policy.draw(load_solved(snakemake.input.solved), snakemake.wildcards.trained_on)
    save(figure, [Path(path) for path in snakemake.output], provenance(snakemake))
