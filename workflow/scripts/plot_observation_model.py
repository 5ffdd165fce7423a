"""Draw how likely PRM scores are in each state of TRIM-POMDP."""

from pathlib import Path

from trim.figures import observation_model
from trim.figures.style import save
from trim.routers.pomdp.storage import load_solved
from trim.workflow import job, provenance

with job(snakemake):
    observation = load_solved(snakemake.input.solved).model.observation
    figure = observation_model.draw(observation, snakemake.wildcards.trained_on)
    save(figure, [Path(path) for path in snakemake.output], provenance(snakemake))
