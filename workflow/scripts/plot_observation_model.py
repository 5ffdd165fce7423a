"""Draw how likely PRM scores are in each state of TRIM-POMDP."""

from trim.figures import observation_model
from trim.figures.style import save
from trim.routers.pomdp.storage import load_solved
from trim.workflow import job, provenance

with job(snakemake):
    found, drawn, origin = snakemake.input, snakemake.output, provenance(snakemake)
    for dataset, solved, *paths in zip(snakemake.params.datasets, found.solved, drawn.pdf, drawn.png, strict=True):
        save(observation_model.draw(load_solved(solved).model.observation, dataset), paths, origin)
