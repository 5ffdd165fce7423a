"""Train the weak or the strong language model."""

from pathlib import Path

from trim.checksums import sum_folder
from trim.config.experiment import ArithmeticFamily
from trim.config.models import Sampling, TrainedModel
from trim.files import written_aside
from trim.jobs import open_job, use_threads
from trim.models.language_model import train_language_model
from trim.problems.problem import read_problems

with open_job(snakemake) as job:
    use_threads(job.threads)
    params, role = job.params, job.wildcards.role
    with written_aside(job.output.folder) as folder:
        if not job.take_checkpoint(role, folder):
            metrics = train_language_model(
                TrainedModel.model_validate(params.model),
                {name: ArithmeticFamily.model_validate(spec) for name, spec in params.datasets.items()},
                params.mix,
                read_problems(Path(job.input.dev)),
                Sampling.model_validate(params.sampling),
                f"{params.seed}/{role}",
                folder,
                job.progress(f"training the {role} model, steps"),
            )
            job.write_json(metrics | {"decided_by": job.checkpoint(role)}, folder / "metrics.json")
        sum_folder(folder)
