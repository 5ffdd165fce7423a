"""Train a process reward model on labelled rollouts."""

from pathlib import Path

import pandas as pd
from pydantic import TypeAdapter

from trim.config.experiment import ArithmeticFamily
from trim.config.models import PRM, LikelihoodPRM
from trim.files import write_json, written_aside
from trim.jobs import open_job, use_threads
from trim.models.prm_training import Trace, train_classifier_prm, train_likelihood_prm
from trim.problems.problem import read_problems
from trim.rollout.tables import STEP_KEYS

with open_job(snakemake) as job:
    use_threads(job.threads)
    params, name = job.params, job.wildcards.prm
    texts = {problem.id: problem.text for problem in read_problems(Path(job.input.problems))}
    traces = [
        Trace(texts[problem], tuple(steps["text"]), tuple(map(bool, steps["valid"])))
        for (_, problem, _), steps in pd.read_parquet(job.input.rollouts).groupby(STEP_KEYS, sort=True)
    ]
    job.log.info("%d traces", len(traces))
    spec = TypeAdapter(PRM).validate_python(params.prm)
    seed, report = f"{params.seed}/prm/{name}", job.progress(f"training PRM {name}, steps")
    with written_aside(job.output.folder) as folder:
        if isinstance(spec, LikelihoodPRM):
            families = {name: ArithmeticFamily.model_validate(family) for name, family in params.datasets.items()}
            backbone = Path(job.input.backbone)
            train_likelihood_prm(spec, backbone, traces, families, params.mix, seed, folder, report)
        else:
            train_classifier_prm(spec, Path(job.input.backbone), traces, seed, folder, report)
        origin = job.provenance
        write_json({"traces": len(traces), "provenance": origin}, folder / "metrics.json")
