"""Solve the test problems of a dataset at every operating point of every router that decides step by step."""

from pathlib import Path

import pandas as pd

from trim.config.routers import Routers
from trim.jobs import open_job
from trim.names import END_POINTS
from trim.rollout.tables import roll_out_tables
from trim.routers.query_level.options import oracle_table
from trim.routers.registry import control_points, step_router

with open_job(snakemake) as job:
    params, outputs = job.params, dict(job.output.items())
    trees_file, oracle_file = outputs.pop("trees"), outputs.pop("oracle-query/untrained")
    settings = Routers.model_validate(params.settings)
    with job.trees(job.wildcards.dataset, "test", labelled=params.labelled) as (trees,):
        sweeps = {}
        for name in outputs:
            router, fitted = name.split("/")[0], job.input.get(name)
            if fitted:
                folders = map(Path, [fitted] if isinstance(fitted, str) else fitted)
                sweeps[name] = [p for folder in folders for p in step_router(router, settings).load(folder)]
            else:
                sweeps[name] = control_points(router, settings)
        points = [point for sweep in sweeps.values() for point in sweep]
        job.log.info("%d operating points of %d routers", len(points), len(sweeps))
        tables = iter(roll_out_tables(points, trees, job.progress(f"{job.wildcards.dataset}, steps")))
        job.log.info("%d nodes are known", len(trees))
        explored = trees.table()
    episodes = {name: pd.concat([next(tables) for _ in sweep], ignore_index=True) for name, sweep in sweeps.items()}
    for name, table in episodes.items():
        job.write_parquet(table.assign(trained_on=name.split("/")[1]), outputs[name])
    alone = pd.concat([episodes[f"{model}/untrained"] for model in END_POINTS])
    job.write_parquet(oracle_table(alone).assign(trained_on="untrained"), oracle_file)
    job.write_parquet(explored, trees_file)
