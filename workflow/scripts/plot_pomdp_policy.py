"""Draw the decisions of TRIM-POMDP on its beliefs."""

from trim.figures import pomdp_policy
from trim.figures.style import save
from trim.jobs import job, provenance
from trim.routers.pomdp.disk import load_solved

with job(snakemake):
    found, drawn, origin = snakemake.input, snakemake.output, provenance(snakemake)
    for dataset, solved, *paths in zip(snakemake.params.datasets, found.solved, drawn.pdf, drawn.png, strict=True):
        save(pomdp_policy.draw(load_solved(solved), dataset), paths, origin)
