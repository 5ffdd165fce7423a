"""Train a process reward model on labelled rollouts."""

from pathlib import Path

from pydantic import TypeAdapter

from trim.checksums import sum_folder
from trim.config.datasets import ArithmeticFamily
from trim.config.models import PRM
from trim.files import read_parquet, written_aside
from trim.jobs import open_job, use_threads
from trim.layouts import SOLUTION_KEYS, STEPS
from trim.models.prm_kinds import PrmTraining, Trace, train_prm

with open_job(snakemake) as job:
    use_threads(job.threads)
    params, name = job.params, job.wildcards.prm
    texts = {problem.id: problem.text for problem in job.problems()}
    traces = [
        Trace(
            texts[problem],
            tuple(steps["text"]),
            tuple(map(bool, steps["valid"])) if steps["valid"].notna().all() else (),
            bool(steps["correct"].iloc[0]),
            behaviour,
        )
        for (behaviour, problem, _), steps in read_parquet(job.input.rollouts, STEPS).groupby(SOLUTION_KEYS, sort=True)
    ]
    job.log.info("%d traces", len(traces))
    families = {name: ArithmeticFamily.model_validate(family) for name, family in params.datasets.items()}
    backbone = Path(job.input.backbone) if job.input.backbone else None
    spec = TypeAdapter(PRM).validate_python(params.prm)
    with job.backbone(spec) as reader, written_aside(job.output.folder) as folder:
        if not job.take_checkpoint(f"prm-{name}", folder):
            training = PrmTraining(traces, backbone, families, params.mix, f"{params.seed}/prm/{name}", reader)
            train_prm(spec, training, folder, job.progress(f"training PRM {name}"), job.kept)
            decided_by = job.checkpoint(f"prm-{name}")
            job.write_json({"traces": len(traces), "decided_by": decided_by}, folder / "metrics.json")
        sum_folder(folder)
