"""Write the splits of a dataset and its manifest."""

from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from trim.config.experiment import ArithmeticFamily, Dataset
from trim.jobs import open_job
from trim.problems.adapters import load_dataset, source_digest
from trim.problems.grading import text_only
from trim.problems.problem import read_problems, write_problems
from trim.problems.splits import check_disjoint, divide, draw_split, leave_out, manifest

SPLITS = ("prm_train", "router_train", "dev", "test")

with open_job(snakemake) as job:
    name, seed = job.wildcards.dataset, job.params.seed
    spec = TypeAdapter(Dataset).validate_python(job.params.dataset)
    origin: dict[str, Any] = {}
    if isinstance(spec, ArithmeticFamily):
        splits = {split: draw_split(name, spec, split, getattr(spec.sizes, split), seed) for split in SPLITS}
    else:
        tested = {Path(path).parent.name: read_problems(Path(path)) for path in job.input.without}
        problems, left_out = leave_out(load_dataset(name, spec), tested)
        unread = text_only(problem.answer for problem in problems if problem.answer)
        as_text = [problem.id for problem in problems if problem.answer in unread]
        job.log.info("%d of %d references are compared as text only", len(as_text), len(problems))
        origin = {
            "source_sha256": source_digest(spec),
            "left_out": left_out,
            "left_out_by_id": len(spec.leave_out),
            "compared_as_text_only": {"references": len(as_text), "of": len(problems), "ids": as_text},
        }
        splits = dict.fromkeys(SPLITS, []) | divide(problems, spec.splits)
    check_disjoint(splits)
    files = {split: Path(job.output[split]) for split in SPLITS}
    for split, problems in splits.items():
        write_problems(problems, files[split])
        job.log.info("%s: %d problems", split, len(problems))
    content = manifest(name, spec, splits, files, **origin)
    job.write_json(content, job.output.manifest)
