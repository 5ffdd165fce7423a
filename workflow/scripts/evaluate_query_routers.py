"""Lay out the test episodes of all query-level baselines that were fitted to a dataset, on every evaluated dataset."""

from pathlib import Path

from trim.files import read_parquet
from trim.jobs import open_job, use_threads
from trim.layouts import EPISODES, READ
from trim.problems.problem import read_problems
from trim.routers.query_level.disk import load_policies
from trim.routers.query_level.options import Options, gather_evidence, route_table

with open_job(snakemake) as job:
    use_threads(job.threads)
    params, inputs, outputs = job.params, job.input, iter(job.output.episodes)
    policies, space = load_policies(Path(inputs.folder), params.device)
    for problem_file, solution_file in zip(inputs.problems, inputs.solutions, strict=True):
        problems, solved = read_problems(Path(problem_file)), read_parquet(solution_file, {**EPISODES, **READ})
        reader = job.text_reader(f"{problems[0].dataset}.test")
        vectors = space.standardise(reader.embed([problem.text for problem in problems]))
        options = Options(solved, problems, params.samples)
        episodes = route_table(policies, gather_evidence(solved, problems, vectors), options)
        for baseline, path in zip(params.baselines, outputs, strict=False):  # outputs go on with the next dataset
            part = episodes[episodes["router"] == baseline]
            job.write_parquet(part.assign(trained_on=job.wildcards.trained_on), path)
