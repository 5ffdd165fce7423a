"""Draw the decisions of TRIM-POMDP on its beliefs."""

from trim.figures import pomdp_policy
from trim.figures.style import save
from trim.jobs import open_job
from trim.routers.pomdp.disk import load_solved

with open_job(snakemake) as job:
    found, drawn, origin = job.input, job.output, job.provenance
    for dataset, solved, *paths in zip(job.params.datasets, found.solved, drawn.pdf, drawn.png, strict=True):
        save(pomdp_policy.draw(load_solved(solved), dataset), paths, origin)
