"""Build the trace explorer: one page on which solutions are followed step by step."""

from pathlib import Path

from trim.explorer.page import PROBLEMS, explore_dataset, render
from trim.files import read_csv, read_parquet
from trim.jobs import open_job, use_threads
from trim.layouts import NODES
from trim.names import routers_of
from trim.problems.problem import read_problems
from trim.rollout.tables import known_trees

with open_job(snakemake) as job:
    use_threads(job.threads)
    params, files = job.params, dict(job.input.items())
    curves = read_csv(files["curves"])
    datasets = []
    for dataset, trained_on in params.trained_on.items():
        problems = read_problems(Path(files[f"{dataset}/problems"]))
        trees = known_trees(problems, read_parquet(files[f"{dataset}/trees"], NODES))
        fitted = {router: [Path(path) for path in files[f"{trained_on}/{router}"]] for router in routers_of("trim")}
        rows = curves[curves["dataset"] == dataset]
        count, labelled = PROBLEMS // len(params.trained_on), params.labelled[dataset]
        datasets.append(explore_dataset(trees, rows, fitted, trained_on, count, labelled=labelled))
        job.log.info("%s: %d of %d problems", dataset, len(datasets[-1]["problems"]), len(problems))
    job.write_text(render(datasets, params.experiment), job.output.page)
