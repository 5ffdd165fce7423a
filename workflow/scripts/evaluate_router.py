"""Solve the test problems of a dataset at every operating point of a router."""

from pathlib import Path

from trim.evaluation.episodes import episode_table, judge, run_points, walk_points
from trim.evaluation.optimum import optimum_table
from trim.evaluation.query_level import oracle_table
from trim.evaluation.sweeps import WALKED, control_points, walked_points
from trim.files import write_parquet
from trim.problems.grading import Grader
from trim.problems.problem import read_problems
from trim.rollout.forest import Forest
from trim.workflow import job, open_job_pair, progress, provenance

with job(snakemake) as log, Grader() as grader:
    params, router = snakemake.params, snakemake.wildcards.router
    fitted = [Path(path) for path in snakemake.input.fitted]
    problems = read_problems(Path(snakemake.input.problems))
    max_steps, name = params.pair["max_steps"], f"{router} on {snakemake.wildcards.dataset}"
    with open_job_pair(snakemake, f"{snakemake.wildcards.dataset}.test") as pair:
        if router in (*WALKED, "perfect-information"):
            forest = Forest(problems, params.replicates, max_steps, judge(grader, exact=params.labelled), pair)
        if router == "perfect-information":
            table = optimum_table(forest)
        elif router == "oracle-query":
            alone = [*control_points("weak-only", [], []), *control_points("strong-only", [], [])]
            results = run_points(alone, problems, pair, params.replicates, max_steps)
            table = oracle_table(episode_table(results, grader, exact=params.labelled))
        elif router in WALKED:
            table = walk_points(walked_points(router, fitted), forest, progress(f"{name}, operating points"))
        else:
            points = control_points(router, fitted, params.random_shares)
            results = run_points(points, problems, pair, params.replicates, max_steps, progress(f"{name}, episodes"))
            table = episode_table(results, grader, exact=params.labelled)
    table = table.assign(trained_on=snakemake.wildcards.trained_on)
    write_parquet(table, snakemake.output.episodes, provenance(snakemake))
