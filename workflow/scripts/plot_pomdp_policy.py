"""Draw the decisions of TRIM-POMDP on its beliefs."""

from trim.figures import pomdp_policy
from trim.figures.style import save
from trim.routers.pomdp.storage import load_solved
from trim.workflow import job, provenance

with job(snakemake):
    found, drawn, origin = snakemake.input, snakemake.output, provenance(snakemake)
    for dataset, solved, *paths in zip(snakemake.params.datasets, found.solved, drawn.pdf, drawn.png, strict=True):
        save(pomdp_policy.draw(load_solved(solved), dataset), paths, origin)
