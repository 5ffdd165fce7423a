"""Score the routers of the main dataset at labelled prefixes: chosen on those of dev, read on those of test."""

from pathlib import Path

from trim.config.experiment import Bootstrap
from trim.config.routers import Routers
from trim.evaluation.prefixes import Decided, score_routers
from trim.files import read_parquet
from trim.jobs import open_job
from trim.layouts import NODES
from trim.rollout.tables import known_trees
from trim.routers.prefixes import LabelledPrefixes
from trim.routers.registry import step_router

MOST = 10_000  # prefixes of a split: whole problems, the first ones

with open_job(snakemake) as job:
    params, splits = job.params, []
    settings = Routers.model_validate(params.settings)
    points = [
        point for path in map(Path, job.input.fitted) for point in step_router(path.parts[-3], settings).load(path)
    ]
    keys = [(point.router, point.variant) for point in points]
    rows = {key: [row for row, own in enumerate(keys) if own == key] for key in dict.fromkeys(keys)}
    for split in ("dev", "test"):
        problems, table = job.problems(f"{split}_problems"), read_parquet(job.input[f"{split}_trees"], NODES)
        trees = known_trees(problems, table).close(undrafted=True)
        prefixes = LabelledPrefixes.of(trees, MOST)
        labelled = prefixes.table()
        job.log.info("%s: %d labelled prefixes of %d problems", split, len(labelled), labelled["problem_id"].nunique())
        regenerate = prefixes.decide([point.policy for point in points])
        splits.append(
            {
                key: Decided(labelled, tuple(points[row].setting for row in own), regenerate[own])
                for key, own in rows.items()
            }
        )
    scored = score_routers(*splits, Bootstrap.model_validate(params.bootstrap), f"{params.seed}/prefixes")
    job.write_csv(scored, job.output.prefixes, exact=["kappa", "operating_point"])
