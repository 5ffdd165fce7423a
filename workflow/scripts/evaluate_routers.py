"""Solve the test problems of a dataset at every operating point of every router."""

from pathlib import Path

import pandas as pd

from trim.files import write_parquet
from trim.jobs import job, open_job_pair, provenance
from trim.problems.grading import Grader, judge
from trim.problems.problem import read_problems
from trim.rollout.trees import Forest
from trim.routers.query_level.options import oracle_table
from trim.routers.registry import evaluate, operating_points

with job(snakemake) as log, Grader() as grader:
    params, outputs, fitted = snakemake.params, dict(snakemake.output.items()), dict(snakemake.input.items())
    problems, verdict = read_problems(Path(snakemake.input.problems)), judge(grader, exact=params.labelled)
    forest_file, oracle = outputs.pop("forest"), outputs.pop("oracle-query/untrained")
    with open_job_pair(snakemake, f"{snakemake.wildcards.dataset}.test") as pair:
        forest = Forest(problems, params.replicates, params.pair["max_steps"], verdict, pair)
        sweeps = {
            name: operating_points(
                name.split("/")[0], [Path(file) for file in fitted.get(name, [])], forest, params.random_shares
            )
            for name in outputs
        }
        log.info("%d operating points of %d routers", sum(map(len, sweeps.values())), len(sweeps))
        episodes = evaluate(sweeps, forest)
    log.info("%d nodes are known", len(forest))
    alone = pd.concat([episodes[f"{router}/untrained"] for router in ("weak-only", "strong-only")])
    tables = {name: (episodes[name], path) for name, path in outputs.items()}
    for name, (table, path) in {**tables, "oracle-query/untrained": (oracle_table(alone), oracle)}.items():
        write_parquet(
            table.assign(trained_on=name.split("/")[1]), path, {**provenance(snakemake), "grading": grader.summary()}
        )
    write_parquet(forest.table(), forest_file, {**provenance(snakemake), "grading": grader.summary()})
