"""Solve the test problems of a dataset at every operating point of every router."""

from pathlib import Path

from trim.evaluation.episodes import judge
from trim.evaluation.sweeps import evaluate
from trim.files import write_parquet
from trim.problems.grading import Grader
from trim.problems.problem import read_problems
from trim.rollout.forest import Forest
from trim.workflow import job, open_job_pair, progress, provenance

with job(snakemake) as log, Grader() as grader:
    params, dataset, fitted = snakemake.params, snakemake.wildcards.dataset, dict(snakemake.input.items())
    problems = read_problems(Path(snakemake.input.problems))
    verdict, report = judge(grader, exact=params.labelled), progress(f"evaluating on {dataset}, routers")
    with open_job_pair(snakemake, f"{dataset}.test") as pair:
        forest = Forest(problems, params.replicates, params.pair["max_steps"], verdict, pair)
        outputs = [(name, path) for name, path in snakemake.output.items() if name != "forest"]
        for done, (name, path) in enumerate(outputs, start=1):
            router, trained_on = name.split("/")
            folders = [Path(file) for file in fitted.get(name, [])]
            table = evaluate(router, folders, forest, params.random_shares)
            write_parquet(table.assign(trained_on=trained_on), path, provenance(snakemake))
            log.info("%s: %d nodes are known", name, len(forest))
            report(done, len(outputs))
    write_parquet(forest.table(), snakemake.output.forest, provenance(snakemake))
