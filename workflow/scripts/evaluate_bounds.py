"""Bound what routers can reach on a dataset whose steps have no labels, from the test trees that they explored."""

from trim.files import read_parquet
from trim.jobs import open_job
from trim.layouts import NODES
from trim.rollout.tables import known_trees
from trim.routers.oracles import better_step_table, optimum_table

with open_job(snakemake) as job:
    trees = known_trees(job.problems(), read_parquet(job.input.trees, NODES)).close(undrafted=True)
    tables = {"better-step-oracle": better_step_table(trees), "perfect-information": optimum_table(trees)}
    for name, path in job.output.items():
        router, trained_on = name.split("/")
        job.write_parquet(tables[router].assign(trained_on=trained_on), path)
