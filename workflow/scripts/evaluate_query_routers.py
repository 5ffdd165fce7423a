"""Lay out the test episodes of all query-level baselines that were fitted to a dataset."""

from pathlib import Path

import pandas as pd

from trim.evaluation.query_level import Options, gather_evidence, route_table
from trim.files import write_parquet
from trim.models.encoder import Encoder
from trim.problems.problem import read_problems
from trim.routers.query_level.storage import load_policies
from trim.workflow import job, provenance, use_threads

with job(snakemake):
    use_threads(snakemake.threads)
    params, inputs, wildcards = snakemake.params, snakemake.input, snakemake.wildcards
    encoder = Encoder(params.encoder or inputs.encoder, revision=params.revision, device=params.device)
    problems, solved = read_problems(Path(inputs.problems)), pd.read_parquet(inputs.solutions)
    policies, space = load_policies(Path(inputs.folder), params.device)
    vectors = space.standardise(encoder.embed([problem.text for problem in problems]))
    episodes = route_table(
        policies, gather_evidence(solved, problems, vectors), Options(solved, problems, params.samples)
    )
    for baseline, path in zip(params.baselines, snakemake.output, strict=True):
        part = episodes[episodes["router"] == baseline].assign(trained_on=wildcards.trained_on)
        write_parquet(part, path, provenance(snakemake))
