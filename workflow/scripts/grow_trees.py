"""Explore the trees of a split in advance, so that routers can be trained without the models."""

from trim.jobs import open_job
from trim.rollout.vectorised import explore

with open_job(snakemake) as job:
    dataset, split = job.wildcards.dataset, job.wildcards.split
    with job.trees(dataset, split, labelled=job.params.labelled) as (trees,):
        budget = job.params.get("tree_budget")
        if budget:
            explore(trees, budget, job.progress(f"trees of {dataset}.{split}, prefixes"))
        else:
            trees.grow_fully(job.params.largest_tree, job.progress(f"trees of {dataset}.{split}, trees"))
            explore(trees)  # of the trees that are too large, at least what the models alone do, and random mixtures
        job.log.info("%d nodes, %.1f %% of the trees whole", len(trees), 100 * trees.complete().mean())
        job.write_parquet(trees.table(), job.output.trees)
