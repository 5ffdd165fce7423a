"""Draw how likely pairs of PRM scores are in each state of TRIM-POMDP."""

from pathlib import Path

from trim.figures import joint_observation
from trim.figures.style import save
from trim.routers.pomdp.storage import load_solved
from trim.workflow import job, provenance

with job(snakemake):
    observation = load_solved(snakemake.input.solved).model.observation
    figure = joint_observation.draw(observation, snakemake.wildcards.trained_on)
    save(figure, [Path(path) for path in snakemake.output], provenance(snakemake))
