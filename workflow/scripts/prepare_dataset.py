"""Write the splits of a dataset and its manifest."""

from pathlib import Path

from pydantic import TypeAdapter

from trim.config import ArithmeticFamily, Dataset
from trim.files import write_json, written_aside
from trim.problems.adapters import load_dataset
from trim.problems.problem import write_problems
from trim.problems.splits import check_disjoint, draw_split, manifest
from trim.workflow import job, provenance

SPLITS = ("prm_train", "router_train", "dev", "test")

with job(snakemake) as log:
    name, seed = snakemake.wildcards.dataset, snakemake.params.seed
    spec = TypeAdapter(Dataset).validate_python(snakemake.params.dataset)
    if isinstance(spec, ArithmeticFamily):
        splits = {split: draw_split(name, spec, split, getattr(spec.sizes, split), seed) for split in SPLITS}
    else:
        problems = load_dataset(name, spec)
        splits = {split: problems if split == spec.split else [] for split in SPLITS}
    check_disjoint(splits)
    files = {split: Path(snakemake.output[split]) for split in SPLITS}
    for split, problems in splits.items():
        with written_aside(files[split]) as aside:
            write_problems(problems, aside)
        log.info("%s: %d problems", split, len(problems))
    origin = provenance(snakemake)
    write_json({**manifest(name, spec, splits, files), "provenance": origin}, snakemake.output.manifest)
