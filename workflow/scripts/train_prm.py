"""Train a process reward model on labelled rollouts."""

from pathlib import Path

import pandas as pd
from pydantic import TypeAdapter

from trim.config.experiment import ArithmeticFamily
from trim.config.models import PRM, LikelihoodPRM
from trim.files import write_json, written_aside
from trim.jobs import job, progress, provenance, use_threads
from trim.models.prm_training import Trace, train_classifier_prm, train_likelihood_prm
from trim.problems.problem import read_problems
from trim.rollout.tables import STEP_KEYS

with job(snakemake) as log:
    use_threads(snakemake.threads)
    params, name = snakemake.params, snakemake.wildcards.prm
    texts = {problem.id: problem.text for problem in read_problems(Path(snakemake.input.problems))}
    traces = [
        Trace(texts[problem], tuple(steps["text"]), tuple(map(bool, steps["valid"])))
        for (_, problem, _), steps in pd.read_parquet(snakemake.input.rollouts).groupby(STEP_KEYS, sort=True)
    ]
    log.info("%d traces", len(traces))
    spec = TypeAdapter(PRM).validate_python(params.prm)
    seed, report = f"{params.seed}/prm/{name}", progress(f"training PRM {name}, steps")
    with written_aside(snakemake.output.folder) as folder:
        if isinstance(spec, LikelihoodPRM):
            families = {name: ArithmeticFamily.model_validate(family) for name, family in params.datasets.items()}
            backbone = Path(snakemake.input.backbone)
            train_likelihood_prm(spec, backbone, traces, families, params.mix, seed, folder, report)
        else:
            train_classifier_prm(spec, Path(snakemake.input.backbone), traces, seed, folder, report)
        origin = provenance(snakemake)
        write_json({"traces": len(traces), "provenance": origin}, folder / "metrics.json")
