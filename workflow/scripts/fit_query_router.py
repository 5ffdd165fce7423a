"""Fit all query-level baselines to a dataset, and keep their episodes on dev."""

from functools import partial
from pathlib import Path

from trim.config.routers import QueryRouters
from trim.files import read_parquet, written_aside
from trim.jobs import open_job, use_threads
from trim.layouts import EPISODES, READ, STEPS
from trim.routers.query_level.disk import Space, load_policies, save_policies
from trim.routers.query_level.fit import embed_solutions, fit_policies
from trim.routers.query_level.options import Options, gather_evidence, route_table
from trim.routers.query_level.registry import QueryTraining

with open_job(snakemake) as job:
    use_threads(job.threads)
    params, inputs = job.params, job.input
    trained_on, settings = job.wildcards.trained_on, QueryRouters.model_validate(params.settings)
    problems, dev_problems = job.problems(), job.problems("dev_problems")
    reader, dev_reader = (job.text_reader(f"{trained_on}.{split}") for split in ("router_train", "dev"))
    vectors = reader.embed([problem.text for problem in problems])
    dev_vectors = dev_reader.embed([problem.text for problem in dev_problems])
    space, dev_solved = Space.of(vectors), read_parquet(inputs.dev_solutions, {**EPISODES, **READ})
    train = gather_evidence(read_parquet(inputs.solutions, EPISODES), problems, space.standardise(vectors))
    dev = gather_evidence(dev_solved, dev_problems, space.standardise(dev_vectors))
    rollouts = read_parquet(inputs.rollouts, STEPS)
    solutions = partial(embed_solutions, rollouts, problems, reader)
    data = QueryTraining(train, dev, solutions, job.new_encoder, settings, f"{params.seed}/{trained_on}")
    policies = fit_policies(data, params.operating_points)
    with written_aside(job.output.folder) as aside:
        save_policies(aside, policies, space, job.provenance)
    policies, _ = load_policies(Path(job.output.folder), params.device)
    episodes = route_table(policies, dev, Options(dev_solved, dev_problems, params.samples))
    job.write_parquet(episodes, job.output.dev)
