"""Draw how likely PRM scores are in each state of TRIM-POMDP."""

from trim.figures import observation_model
from trim.figures.style import save
from trim.jobs import job, provenance
from trim.routers.pomdp.disk import load_solved

with job(snakemake):
    found, drawn, origin = snakemake.input, snakemake.output, provenance(snakemake)
    for dataset, solved, *paths in zip(snakemake.params.datasets, found.solved, drawn.pdf, drawn.png, strict=True):
        save(observation_model.draw(load_solved(solved).model.observation, dataset), paths, origin)
