"""Draw how likely PRM scores are in each state of TRIM-POMDP."""

from trim.figures import observation_model
from trim.figures.style import save
from trim.jobs import open_job
from trim.routers.pomdp.disk import load_solved

with open_job(snakemake) as job:
    found, drawn, origin = job.input, job.output, job.provenance
    for dataset, solved, *paths in zip(job.params.datasets, found.solved, drawn.pdf, drawn.png, strict=True):
        save(observation_model.draw(load_solved(solved).model.observation, dataset), paths, origin)
