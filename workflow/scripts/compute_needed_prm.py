"""Say how good a PRM would have to be, from the test trees that routers explored."""

import pandas as pd

from trim.config.experiment import Bootstrap
from trim.evaluation.needed_prm import needed_prm
from trim.files import read_parquet
from trim.jobs import open_job
from trim.layouts import NODES
from trim.rollout.tables import known_trees
from trim.rollout.trees import KEEP
from trim.routers.needed_prm import DEVIATIONS, foreseeing_scores, route_by_scores

with open_job(snakemake) as job:
    params, tables = job.params, []
    for dataset in params.datasets:
        problems, table = job.problems(f"{dataset}/problems"), read_parquet(job.input[f"{dataset}/trees"], NODES)
        trees = known_trees(problems, table).close(undrafted=True)
        in_use = route_by_scores(trees, trees.nodes["score"][:, KEEP], params.operating_points)
        foreseeing = {
            deviation: route_by_scores(trees, foreseeing_scores(trees, deviation), params.operating_points)
            for deviation in DEVIATIONS
        }
        share = trees.answered_otherwise / max(trees.decisions, 1)
        job.log.info("%s: %.1f %% of the decisions would have left the explored trees", dataset, 100 * share)
        found = needed_prm(in_use, foreseeing, Bootstrap.model_validate(params.bootstrap), f"{params.seed}/{dataset}")
        tables.append(found.assign(dataset=dataset, prm=params.prm))
    found = pd.concat(tables, ignore_index=True)
    job.write_csv(
        found[["dataset", "prm", *(name for name in found if name not in ("dataset", "prm"))]], job.output.table
    )
