"""Write the splits of a dataset and its manifest."""

from pathlib import Path
from tempfile import TemporaryDirectory

from pydantic import TypeAdapter

from trim.config.experiment import ArithmeticFamily, Dataset
from trim.jobs import open_job
from trim.models.kept import PROBLEMS, problem_facts
from trim.problems.prepared import SPLITS, Prepared, is_at_hand, load_prepared, prepare, save_prepared
from trim.problems.problem import read_problems, write_problems
from trim.problems.splits import check_disjoint, draw_split, manifest

with open_job(snakemake) as job, TemporaryDirectory() as aside:
    name, seed = job.wildcards.dataset, job.params.seed
    spec = TypeAdapter(Dataset).validate_python(job.params.dataset)
    facts, folder = problem_facts(name, job.params.dataset, seed), Path(aside)
    if isinstance(spec, ArithmeticFamily):
        drawn = {split: draw_split(name, spec, split, getattr(spec.sizes, split), seed) for split in SPLITS}
        prepared = Prepared(drawn, {})
    elif job.kept.offline and not is_at_hand(spec) and job.kept.restore(PROBLEMS, facts, folder):
        prepared = load_prepared(folder)
        job.log.info("problems as the step store keeps them")
    else:
        tested = {Path(path).parent.name: read_problems(Path(path)) for path in job.input.without}
        prepared = prepare(name, spec, tested)
        compared = prepared.origin["compared_as_text_only"]
        job.log.info("%d of %d references are compared as text only", compared["references"], compared["of"])
        save_prepared(prepared, folder)
        job.kept.keep(PROBLEMS, facts, folder)
    check_disjoint(prepared.splits)
    files = {split: Path(job.output[split]) for split in SPLITS}
    for split, problems in prepared.splits.items():
        write_problems(problems, files[split])
        job.log.info("%s: %d problems", split, len(problems))
    content = manifest(name, spec, prepared.splits, files, **prepared.origin)
    job.write_json(content, job.output.manifest)
