"""Train the weak or the strong language model."""

from pathlib import Path

from trim.config.experiment import ArithmeticFamily
from trim.config.models import Sampling, TrainedModel
from trim.files import write_json, written_aside
from trim.jobs import job, progress, provenance, use_threads
from trim.models.language_model import train_language_model
from trim.problems.problem import read_problems

with job(snakemake):
    use_threads(snakemake.threads)
    params, role = snakemake.params, snakemake.wildcards.role
    with written_aside(snakemake.output.folder) as folder:
        metrics = train_language_model(
            TrainedModel.model_validate(params.model),
            {name: ArithmeticFamily.model_validate(spec) for name, spec in params.datasets.items()},
            params.mix,
            read_problems(Path(snakemake.input.dev)),
            Sampling.model_validate(params.sampling),
            f"{params.seed}/{role}",
            folder,
            progress(f"training the {role} model, steps"),
        )
        origin = provenance(snakemake)
        write_json({**metrics, "provenance": origin}, folder / "metrics.json")
